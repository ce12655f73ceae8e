/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that are stored a moment later: calls whose callers wait for their
 * end, the start of a job, its end. A caller that waits is told at once, all of
 * them are stored soon, and no more than so many jobs and bytes wait for it. In
 * these tests time stands still until it goes on, so that the moment is long.
 */
#include "t/unit/broker_calls.h"

#include "t/unit/broker_clock.h"

#define JOBS_MAX  256
#define BYTES_MAX (1u << 20)

static spawn_id template, ids[3];
static worker the_worker;

static void start_all(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void worker_is_ready(void)
{
    reach_a_worker(&the_worker, &template);
    time_stands();
}

/* How many jobs the store has, and how many of them have ended. */
static void expect_stored(int jobs, int ended)
{
    char wanted[32];

    is_there(); /* a turn has ended */
    kill_broker();
    (void)snprintf(wanted, sizeof(wanted), "%d %d", jobs, ended);
    expect_sql("SELECT count(*) || ' ' || ifnull(sum(state = 4), 0) FROM job",
               wanted);
}

static void returns_bytes(const spawn_id *call, size_t length)
{
    static const uint8_t bytes[BYTES_MAX];
    spawn_board *board = spawn_board_map(the_worker.kept[0]);

    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, bytes, length), 0);
    worker_says(&the_worker, call);
    expect_answer(SPAWN_M_JOB);
}

static void serves(size_t bytes)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    returns_bytes(&id, bytes);
}

static void about(uint16_t type, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, type, id);
    ask(&w);
}

/* The count of jobs in the store, after all that wait were put there. */
static unsigned listed(void)
{
    unsigned count = 0;

    about(SPAWN_M_LIST, NULL);
    for (;;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_END)
            return count;
        assert_int_equal(message.header.type, SPAWN_M_JOB);
        count++;
    }
}

/* ---- calls ---- */

static void a_call_is_told_at_once_and_stored_a_moment_later(void **state)
{
    int i;

    (void)state;
    worker_is_ready();
    for (i = 0; i < 3; i++)
        serves(10);
    expect_stored(0, 0);
    worker_is_ready();
    for (i = 0; i < 3; i++)
        serves(10);
    time_goes_on();
    a_moment_passes();
    expect_stored(3, 3);
}

/* Those that come later do not put it off. */
static void the_moment_is_that_of_the_first_one(void **state)
{
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    time_stands();
    submit(&id, SPAWN_REPLY_FINISHED);
    is_there();
    time_moves(15);
    submit(&id, SPAWN_REPLY_FINISHED);
    is_there();
    time_moves(10);
    is_there();
    expect_stored(2, 0);
}

/* It is running when the store does not take it, and has run when it does. */
static void what_could_not_be_stored_is_tried_again(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT " WHEN NEW.state < 4");
    log_is_kept = true;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    time_moves(25);
    is_there();
    is_there();
    assert_int_equal(logged("MS0530"), 1);
    returns_bytes(&id, 10);
    time_moves(500);
    is_there();
    is_there();
    time_moves(600);
    is_there();
    expect_stored(1, 1);
}

/* The one has a second until its next try, the other 20 ms. */
static void what_could_not_be_stored_holds_up_no_other(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT " WHEN NEW.state < 4");
    log_is_kept = true;
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    time_moves(25);
    is_there();
    returns_bytes(&id, 10);
    is_there();
    assert_int_equal(logged("MS0530"), 1);
    serves(10);
    is_there();
    time_moves(25);
    is_there();
    expect_stored(1, 1);
}

/* Nobody is refused what only has to wait for its worker. */
static void a_call_that_waits_goes_on_when_it_cannot_be_stored(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    log_is_kept = true;
    reach_workers(0, 1, &template);
    time_stands();
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&the_worker);
    is_there();
    time_moves(25);
    is_there();
    is_there();
    assert_int_equal(logged("MS0530"), 1);
    worker_says(&the_worker, NULL);
    expect_call(&the_worker, &id);
    returns_bytes(&id, 10);
}

/* Its worker is free for others, though its end could not be stored. */
static void a_call_whose_caller_has_left_lets_its_worker_go(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    worker_is_ready();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &id);
    (void)close(caller);
    call_in();
    is_there();
    broker_sleeps(); /* in one turn: it has to be stored, and has ended */
    about(SPAWN_M_GET, &id);
    worker_returns(&the_worker, &id);
    broker_goes_on();
    (void)receive_at(caller, SPAWN_FROM_BROKER);
    serves(10);
}

/* It goes to its worker all the same, and not again when it is stored. */
static void a_call_whose_start_could_not_be_stored_is_sent_once(void **state)
{
    struct pollfd p;
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT " WHEN NEW.state = 2");
    log_is_kept = true;
    reach_workers(0, 1, &template);
    time_stands();
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&the_worker);
    is_there();
    broker_sleeps(); /* in one turn: it has to be stored, and starts */
    about(SPAWN_M_GET, &id);
    worker_says(&the_worker, NULL);
    broker_goes_on();
    expect_call(&the_worker, &id);
    (void)receive_at(caller, SPAWN_FROM_BROKER);
    assert_int_equal(logged("MS0530"), 1);
    time_moves(1100);
    is_there();
    is_there();
    p = (struct pollfd){the_worker.link, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 100), 0);
    returns_bytes(&id, 10);
    expect_stored(1, 1);
}

/* The caller has what came of it; the history does without. */
static void what_was_told_and_not_stored_is_not_kept(void **state)
{
    static const char *const more[] = {"b", NULL};
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'default' AND"
                                    " NOT EXISTS (SELECT * FROM job)");
    log_is_kept = true;
    more_queues = more;
    worker_is_ready();
    serves(10);
    time_moves(25);
    is_there();
    is_there();
    assert_int_equal(logged("MS0530"), 1);
    (void)spawn_id_make(&id);
    begin_submit(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "b");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED); /* from now on it takes all */
    time_moves(1100);
    is_there();
    is_there();
    expect_stored(1, 0);
}

static void calls_that_end_together_are_all_told(void **state)
{
    worker workers[2];
    int i;

    (void)state;
    reach_workers(2, 2, &template);
    for (i = 0; i < 2; i++)
        worker_starts(&workers[i]);
    for (i = 0; i < 2; i++)
        worker_says(&workers[i], NULL);
    is_there();
    time_stands();
    for (i = 0; i < 2; i++)
        submit(&ids[i], SPAWN_REPLY_FINISHED);
    expect_call(&workers[1], &ids[0]); /* the one that was ready last */
    expect_call(&workers[0], &ids[1]);
    broker_sleeps();
    worker_returns(&workers[1], &ids[0]);
    worker_returns(&workers[0], &ids[1]);
    broker_goes_on();
    expect_answer(SPAWN_M_JOB);
    expect_answer(SPAWN_M_JOB);
}

/* In one turn: it never had a worker, nor a result. */
static void a_call_that_is_cancelled_as_it_comes_is_told(void **state)
{
    spawn_id id;

    (void)state;
    reach_workers(0, 1, &template);
    time_stands();
    broker_sleeps();
    submit(&id, SPAWN_REPLY_FINISHED);
    about(SPAWN_M_KILL, &id);
    broker_goes_on();
    expect_answer(SPAWN_M_DONE);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_CANCELLED);
    assert_int_equal(listed(), 1);
}

/* They wait for a worker. */
static void so_many_calls_and_no_more_wait_to_be_stored(void **state)
{
    static const struct {
        int come, stored;
    } cases[] = {
        {JOBS_MAX - 1, 0}, {JOBS_MAX, JOBS_MAX}, {2 * JOBS_MAX - 1, JOBS_MAX}};
    spawn_id id;
    int i, k;

    (void)state;
    queue_waits = 1000;
    for (i = 0; i < 3; i++) {
        reach_workers(0, 1, &template);
        time_stands();
        for (k = 0; k < cases[i].come; k++) {
            submit(&id, SPAWN_REPLY_FINISHED);
            if (k % 64 == 0 || k % JOBS_MAX >= JOBS_MAX - 2)
                is_there(); /* the next one comes in a turn of its own */
        }
        expect_stored(cases[i].stored, 0);
        run_sql("DELETE FROM job");
        time_goes_on();
    }
}

static void so_many_bytes_of_results_and_no_more_wait_to_be_stored(void **state)
{
    static const struct {
        size_t bytes[3];
        int stored;
    } cases[] = {{{BYTES_MAX / 2, BYTES_MAX / 2 - 1, 0}, 0},
                 {{BYTES_MAX / 2, BYTES_MAX / 2 - 1, 1}, 3},
                 {{BYTES_MAX, BYTES_MAX - 1, 0}, 1}};
    int i, k;

    (void)state;
    for (i = 0; i < 3; i++) {
        worker_is_ready();
        for (k = 0; k < 3; k++)
            serves(cases[i].bytes[k]);
        expect_stored(cases[i].stored, cases[i].stored);
        run_sql("DELETE FROM output; DELETE FROM job");
        time_goes_on();
    }
}

/* Those of what is stored count no more. */
static void bytes_of_what_waits_are_counted(void **state)
{
    (void)state;
    worker_is_ready();
    serves(BYTES_MAX / 2);
    time_moves(20);
    is_there();
    serves(BYTES_MAX / 2);
    expect_stored(1, 1);
}

/* A call that a caller asks for is stored, wherever it stands among those that
 * wait; the others are not forgotten. */
static void one_of_many_is_stored_before_the_others(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    unsigned before = 0;
    int i, k, asked;

    (void)state;
    queue_waits = 100;
    reach_workers(0, 1, &template);
    time_stands();
    for (asked = 1; asked <= 3; asked++) {
        for (i = 0; i < 6; i++) {
            for (k = 0; k < 3; k++)
                submit(&ids[k], SPAWN_REPLY_FINISHED);
            for (k = 0; k < asked; k++) {
                about(SPAWN_M_GET, &ids[orders[i][k]]);
                expect_answer(SPAWN_M_JOB);
            }
            before += 3;
            assert_int_equal(listed(), before);
        }
    }
}

/* ---- programs ---- */

static void runs_from_here(spawn_id *ret)
{
    (void)spawn_id_make(ret);
    submit_as(ret, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    say_started(ret);
    is_there();
}

/* Two writes of a short job, not three. */
static void that_a_job_runs_is_stored_a_moment_later(void **state)
{
    (void)state;
    start_all();
    time_stands();
    runs_from_here(&ids[0]);
    kill_broker();
    expect_sql("SELECT state FROM job", "2");
    run_sql("DELETE FROM job");
    time_goes_on();
    start_all();
    time_stands();
    runs_from_here(&ids[0]);
    time_goes_on();
    a_moment_passes();
    kill_broker();
    expect_sql("SELECT state FROM job", "3");
}

static void an_end_is_kept_by_the_spawner_until_it_is_stored(void **state)
{
    struct pollfd p;

    (void)state;
    start_all();
    runs_from_here(&ids[0]);
    about(SPAWN_M_GET, &ids[0]); /* that it runs is stored */
    expect_answer(SPAWN_M_JOB);
    time_stands();
    say_exited(&ids[0], 0, 0);
    is_there();
    p = (struct pollfd){link_fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 100), 0);
    time_goes_on();
    expect_id(SPAWN_M_FORGET, &ids[0]);
}

static void expect_forgotten(int jobs)
{
    while (jobs > 0) {
        expect(SPAWN_M_FORGET);
        if (spawn_has(&message, SPAWN_A_IDS))
            jobs -= (int)(message.attr[SPAWN_A_IDS].length / SPAWN_ID_SIZE);
        else
            jobs--;
    }
}

/* That it ran need not be stored any more. */
static void
the_end_of_a_short_job_is_stored_in_the_place_of_its_start(void **state)
{
    int i;

    (void)state;
    start_all();
    time_stands();
    for (i = 0; i < 3; i++)
        runs_from_here(&ids[i]);
    time_moves(5);
    for (i = 0; i < 3; i++)
        say_exited(&ids[(i + 1) % 3], 0, 0);
    is_there();
    quiet_for(200);
    time_moves(15);
    expect_forgotten(3);
    assert_int_equal(listed(), 3);
}

/* Its process is to be stored now, and with it the end is. */
static void the_end_of_what_is_just_being_stored_is_stored_too(void **state)
{
    spawn_writer w;

    (void)state;
    start_all();
    time_stands();
    (void)spawn_id_make(&ids[0]);
    submit_as(&ids[0], "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    broker_sleeps();
    begin(&w, SPAWN_M_STARTED, &ids[0]);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    send_fds(&w, NULL, 0);
    say_exited(&ids[0], 0, 0);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &ids[0]);
    assert_int_equal(listed(), 1);
    is_there();
}

/* Each of them waits twice, in another order. */
static void starts_and_ends_of_many_are_stored(void **state)
{
    unsigned before = 0;
    int i, k;

    (void)state;
    start_all();
    for (i = 0; i < 3; i++) {
        time_stands();
        for (k = 0; k < 3; k++)
            runs_from_here(&ids[k]);
        for (k = 0; k < 3; k++) {
            about(SPAWN_M_GET, &ids[(i + k) % 3]);
            expect_answer(SPAWN_M_JOB);
        }
        for (k = 0; k < 3; k++)
            say_exited(&ids[2 - k], 0, 0);
        is_there();
        before += 3;
        assert_int_equal(listed(), before);
        expect_forgotten(3);
        time_goes_on();
    }
}

/* ---- that it runs, and a commit that fails ---- */

static void wait_for_start(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_STARTED);
    ask(&w);
}

static void submit_again(const spawn_id *id)
{
    spawn_writer w;

    begin_submit(&w, id, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_STARTED);
    ask(&w);
}

/* A caller that waits for it is not told that it is starting. */
static void a_start_that_is_not_stored_is_waited_for(void **state)
{
    static void (*const ways[])(const spawn_id *id) = {wait_for_start,
                                                       submit_again};
    unsigned i;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while("BEFORE UPDATE ON job WHEN NEW.state = 3");
    start_all();
    for (i = 0; i < 2; i++) {
        (void)spawn_id_make(&ids[i]);
        submit_as(&ids[i], "/bin/true");
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &ids[i]);
    }
    time_stands();
    for (i = 0; i < 2; i++)
        say_started(&ids[i]);
    is_there();
    for (i = 0; i < 2; i++)
        ways[i](&ids[i]);
    wait_until_logged("MS0530", 1);
    is_there();
    quiet_at(caller, 1);
    time_goes_on();
    store_takes_again();
    for (i = 0; i < 2; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                         SPAWN_STATE_RUNNING);
    }
}

int main(void)
{
#define LATER(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        LATER(a_call_is_told_at_once_and_stored_a_moment_later),
        LATER(the_moment_is_that_of_the_first_one),
        LATER(what_could_not_be_stored_is_tried_again),
        LATER(what_could_not_be_stored_holds_up_no_other),
        LATER(a_call_that_waits_goes_on_when_it_cannot_be_stored),
        LATER(a_call_whose_caller_has_left_lets_its_worker_go),
        LATER(a_call_whose_start_could_not_be_stored_is_sent_once),
        LATER(what_was_told_and_not_stored_is_not_kept),
        LATER(calls_that_end_together_are_all_told),
        LATER(a_call_that_is_cancelled_as_it_comes_is_told),
        LATER(so_many_calls_and_no_more_wait_to_be_stored),
        LATER(so_many_bytes_of_results_and_no_more_wait_to_be_stored),
        LATER(bytes_of_what_waits_are_counted),
        LATER(one_of_many_is_stored_before_the_others),
        LATER(that_a_job_runs_is_stored_a_moment_later),
        LATER(an_end_is_kept_by_the_spawner_until_it_is_stored),
        LATER(the_end_of_a_short_job_is_stored_in_the_place_of_its_start),
        LATER(the_end_of_what_is_just_being_stored_is_stored_too),
        LATER(starts_and_ends_of_many_are_stored),
        LATER(a_start_that_is_not_stored_is_waited_for)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker later", tests, NULL, NULL);
}
