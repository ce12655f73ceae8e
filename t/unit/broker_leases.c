/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are lent to callers: what a worker notes on its slate is
 * recorded once; a call that has begun is joined, and one that has not is run.
 */
#include "t/unit/broker_leased.h"

#define MUCH 330 /* small answers: more than a socket takes */

/* ---- what is recorded ---- */

static void what_has_run_is_recorded_at_a_look(void **state)
{
    worker w;

    (void)state;
    reach_lent(&w);
    runs(SPAWN_RESULT_RETURNED);
    expect_take_back(&w); /* it is not used for some looks */
    assert_int_equal(spawn_slate_unread(slate), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE elapsed = 7777777", "1");
}

static void calls_are_recorded_when_it_is_given_back(void **state)
{
    worker w;

    (void)state;
    reach_lent(&w);
    runs(SPAWN_RESULT_RETURNED);
    runs(SPAWN_RESULT_DIED);
    gives_back(&w, NULL);
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "6");
    expect_sql(
        "SELECT count(*) FROM job WHERE elapsed = 7777777 AND exit_code = 0",
        "1");
    expect_sql(
        "SELECT count(*) FROM job WHERE elapsed = 7777777 AND exit_code = 255",
        "1");
}

/* As if the broker had run it. */
static void all_that_is_noted_is_recorded(void **state)
{
    spawn_slate_call *call;
    int64_t started;
    spawn_writer w;
    worker it;
    spawn_id id;

    (void)state;
    reach_lent(&it);
    begins(&id, NULL);
    call = spawn_slate_running(slate);
    started = call->started_at -= 5000;
    ends(SPAWN_RESULT_RETURNED);
    gives_back(&it, NULL);
    has_heard();
    begin(&w, SPAWN_M_GET, &id);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 4000000);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SUBMITTED_AT, 0), started);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STARTED_AT, 0), started);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ENDED_AT, 0), started);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0), 7777777);
    assert_int_equal(
        spawn_u64v_at(&message.attr[SPAWN_A_RUSAGE], SPAWN_RU_UTIME_US), 55);
    /* nobody was answered: what it returned is on the board */
    assert_int_equal(message.attr[SPAWN_A_RESULT].length, 5);
    assert_memory_equal(message.attr[SPAWN_A_RESULT].data, "value", 5);
}

/* It ran from its beginning, and not from when it was joined. */
static void what_is_joined_has_run_since_it_began(void **state)
{
    worker w;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    spawn_slate_running(slate)->mono_us -= 5000000;
    says_lost(&w.id);
    call_again(&id);
    expect_take_back(&w);
    has_heard();
    ends(SPAWN_RESULT_RETURNED);
    gives_back(&w, &id);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type != SPAWN_M_JOB);
    assert_true(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0) >= 5000000);
}

static void what_is_of_another_queue_or_known_is_not_recorded(void **state)
{
    spawn_id id, known;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, "other");
    ends(SPAWN_RESULT_RETURNED);
    begins(&known, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    gives_back(&w, &known);
    has_heard();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "4");
}

/* ---- ids that are asked for ---- */

static void a_call_that_has_begun_is_joined(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    says_lost(&w.id);
    call_again(&id);
    expect_take_back(&w);
    ends(SPAWN_RESULT_RETURNED);
    gives_back(&w, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "4");
}

/* Nobody says that it may have run: whoever submits an id that was used. */
static void one_that_has_just_run_does_not_run_again(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0), 7777777);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "4");
}

static void one_that_has_not_begun_is_run(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    says_lost(&w.id);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_call(&w, &id);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
}

static void of_a_worker_that_nobody_knows_it_is_lost(void **state)
{
    spawn_id id, stranger;
    worker w;

    (void)state;
    reach_lent(&w);
    (void)spawn_id_make(&stranger);
    says_lost(&stranger);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    /* and of the next job it is not */
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_call(&w, &id);
}

static void of_one_that_has_gone_it_is_run(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    says_lost(&w.id);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_call(&next, &id);
}

/* A worker that is not lent yet ends with its template
 * (perl/xs/template/worker.c), also when LEND is on its way to it, and its
 * caller has sent a call. */
static void so_it_is_when_its_template_has_taken_it_along(void **state)
{
    worker w, next;
    spawn_writer said;
    spawn_id id;
    char byte;

    (void)state;
    reach_lent(&w);
    (void)close(served);
    (void)close(w.link);
    begin(&said, SPAWN_M_ORPHANED, &w.id);
    spawn_put_u64(&said, SPAWN_A_PID, 4000000);
    send_fds(&said, NULL, 0);
    worker_starts(&next);
    worker_says(&next, NULL);
    assert_int_equal(recv(direct, &byte, 1, 0), 0);
    says_lost(&w.id);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_call(&next, &id);
}

/* However many leases have ended since. */
static void of_one_that_went_long_ago_it_is_run_too(void **state)
{
    worker w, other;
    spawn_id id;
    int i;

    (void)state;
    reach_lent(&w);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&other);
    worker_says(&other, NULL);
    for (i = 0; i < 100; i++) {
        is_lent(&other);
        gives_back(&other, NULL);
    }
    says_lost(&w.id);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_call(&other, &id);
}

static void a_call_ends_with_its_worker(void **state)
{
    worker w, next;
    spawn_id id;
    char byte;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    /* a process that the worker left behind may have its end */
    assert_int_equal(recv(direct, &byte, 1, 0), 0);
    says_lost(&w.id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
}

/* It had become a job, which was to be told by the worker. */
static void but_not_when_it_had_ended_before(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    says_lost(&w.id);
    call_again(&id);
    expect_take_back(&w);
    ends(SPAWN_RESULT_RETURNED);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

/* TAKE_BACK is what it had not read: the call has begun all the same. */
static void whatever_the_worker_had_not_read(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    says_lost(&w.id);
    call_again(&id);
    is_there();
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    quiet_at(next.link, 1);
}

/* Its caller has no answer, and asks when the store has not taken the end. */
static void what_has_run_is_known_also_when_it_is_not_stored(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    make_store_that_fails("BEFORE INSERT ON job WHEN NEW.elapsed = 7777777");
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    worker_says(&next, NULL);
    has_heard();
    says_lost(&w.id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_RESULT_KIND]),
                     SPAWN_RESULT_RETURNED);
    has_heard();
    quiet_at(next.link, 1);
}

/* Nor is a broker there that knew of it: its slate still tells. */
static void what_has_run_is_known_to_the_next_broker(void **state)
{
    worker w, next;
    spawn_id id;

    (void)state;
    make_store_that_fails("BEFORE INSERT ON job WHEN NEW.elapsed = 7777777");
    reach_lent(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    kill_broker();
    run_sql("DROP TRIGGER no");
    workers_min = 0;
    start_broker();
    say_running_worker(&w);
    say_exited(&w.id, 0, SIGKILL);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    says_lost(&w.id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_RESULT_KIND]),
                     SPAWN_RESULT_RETURNED);
}

/* Before there is a broker again. */
static void prints(worker *w, const char *words)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], words, strlen(words)), strlen(words));
    (void)close(ends[1]);
    (void)close(w->kept[3]);
    w->kept[3] = ends[0];
}

static void the_next_broker_takes_it_back(void **state)
{
    spawn_id id, before;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_lent(&w);
    begins(&before, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    begins(&id, NULL);
    kill_broker();
    slate->caller_uid = 4711;
    prints(&w, "some words\n");
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(&w);
    call_in();
    says_lost(&w.id);
    call_again(&id);
    has_heard();
    ends(SPAWN_RESULT_RETURNED);
    gives_back(&w, &id);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    } while (message.header.type != SPAWN_M_JOB);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE elapsed = 7777777", "2");
    expect_sql("SELECT count(*) FROM job WHERE exit_code = 0 AND outcome = 1",
               ask_sql("SELECT count(*) FROM job"));
    /* the slate has the callers of these calls */
    expect_sql("SELECT count(*) FROM job WHERE ifnull(caller_pid, 0) = 0", "0");
    expect_sql("SELECT count(*) > 0 FROM job WHERE caller_uid = 4711", "1");
    /* and what it prints is of its call */
    assert_int_equal(logged("worker of queue default stderr: some words"), 0);
    assert_int_equal(logged("stderr: some words"), 1);
}

/* It is used all the time, so that nothing else ends the lease. True: it was
 * taken back. */
static bool is_taken_back(const worker *w)
{
    struct pollfd p = {w->link, POLLIN, 0};
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    bool is;

    while (!(is = poll(&p, 1, 5) > 0) && spawn_mono_ms() < until) {
        if (!spawn_slate_is_held(slate))
            runs(SPAWN_RESULT_RETURNED);
    }
    return is;
}

/* As ask; the broker may take only some at a time. */
static void ask_in_time(spawn_writer *asked)
{
    struct pollfd room = {caller, POLLOUT, 0};
    int rv;

    assert_int_equal(spawn_writer_finish(asked, 0), 0);
    while ((rv = spawn_packet_send(caller, asked->data, asked->length, NULL, 0))
           == -EAGAIN)
        assert_int_equal(poll(&room, 1, DEADLINE_MS), 1);
    assert_int_equal(rv, 0);
    spawn_writer_free(asked);
}

/* It does not read what it asks for, so that the answer to its wait does not
 * get to its socket. */
static int waits_and_does_not_read(const spawn_id *id)
{
    const int before = caller;
    spawn_writer asked;
    int i;

    call_in();
    begin(&asked, SPAWN_M_WAIT, id);
    spawn_put_u64(&asked, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&asked);
    for (i = 0; i < MUCH; i++) {
        begin(&asked, SPAWN_M_GET, id);
        ask_in_time(&asked);
    }
    i = caller;
    caller = before;
    return i;
}

/* The lease would clear the ticket, which has the result for it. */
static void while_somebody_lacks_its_answer_it_is_not_lent(void **state)
{
    spawn_id template, id;
    int other;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    proves(SPAWN_RELEASE);
    time_stands();
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    other = waits_and_does_not_read(&id);
    is_there();
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB); /* and no lease before it */
    time_goes_on();
    (void)close(other);
}

static void who_waits_has_it_taken_back(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_lent(&w);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_true(is_taken_back(&w));
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_call(&w, &id);
}

/* A call may begin in the moment in which it is taken back. */
static void as_many_run_as_may_until_it_is_back(void **state)
{
    worker w, other;
    spawn_id id;

    (void)state;
    queue_jobs = 1;
    reach_workers(2, 2, &id);
    worker_starts(&w);
    worker_starts(&other);
    worker_says(&w, NULL);
    proves(SPAWN_RELEASE);
    is_lent(&w);
    worker_says(&other, NULL);
    is_there();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    is_there();
    quiet_at(other.link, 20);
    gives_back(&w, NULL);
    is_there();
}

/* Also one that is no call, when its queue lets no more run. */
static void a_program_that_waits_has_it_taken_back(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    queue_jobs = 1;
    reach_lent(&w);
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    assert_true(is_taken_back(&w));
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_id(SPAWN_M_LAUNCH, &id);
}

/* Its caller went in the moment in which it would have begun. */
static void one_that_was_not_begun_is_lost(void **state)
{
    spawn_id id, other;
    worker w;

    (void)state;
    reach_lent(&w);
    begins(&id, NULL);
    submit(&other, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_call(&w, &other);
    assert_int_equal(slate->lease, 0); /* it is over with that */
    worker_returns(&w, &other);
    expect_answer(SPAWN_M_JOB);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "its caller had gone, and it was not begun");
}

static void one_that_was_its_last_is_its_last(void **state)
{
    worker w, next;
    uint8_t room[128];
    spawn_writer said;
    spawn_id id;

    (void)state;
    reach_lent(&w);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_take_back(&w);
    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, SPAWN_M_GIVEN_BACK, 0);
    spawn_put_u64(&said, SPAWN_A_SEQ, lease);
    spawn_put_u64(&said, SPAWN_A_LAST, 1);
    (void)spawn_writer_finish(&said, 0);
    assert_int_equal(spawn_packet_send(w.link, said.data, said.length, NULL, 0),
                     0);
    expect_no_more(&w);
    worker_starts(&next);
    worker_says(&next, NULL);
    expect_call(&next, &id);
}

static void rules_without_workers_have_it_taken_back(void **state)
{
    worker w;

    (void)state;
    reach_lent(&w);
    workers_min = workers_max = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    expect_take_back(&w);
    gives_back(&w, NULL);
    expect_no_more(&w);
}

/* A call that comes is served by the other one. Time stands: it is not unused.
 */
static void where_nobody_waits_it_stays_lent(void **state)
{
    worker w, other;
    spawn_id id;

    (void)state;
    reach_workers(2, 2, &id);
    worker_starts(&w);
    worker_starts(&other);
    worker_says(&w, NULL);
    proves(SPAWN_RELEASE);
    time_stands();
    is_lent(&w);
    worker_says(&other, NULL);
    is_there();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&other, &id);
    is_there();
    worker_returns(&other, &id);
    expect_answer(SPAWN_M_JOB);
    is_there();
    assert_false(spawn_slate_is_held(slate));
    quiet_at(w.link, 1);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_has_run_is_recorded_at_a_look),
        ALONE(calls_are_recorded_when_it_is_given_back),
        ALONE(all_that_is_noted_is_recorded),
        ALONE(what_is_joined_has_run_since_it_began),
        ALONE(what_is_of_another_queue_or_known_is_not_recorded),
        ALONE(a_call_that_has_begun_is_joined),
        ALONE(one_that_has_just_run_does_not_run_again),
        ALONE(one_that_has_not_begun_is_run),
        ALONE(of_a_worker_that_nobody_knows_it_is_lost),
        ALONE(of_one_that_has_gone_it_is_run),
        ALONE(so_it_is_when_its_template_has_taken_it_along),
        ALONE(of_one_that_went_long_ago_it_is_run_too),
        ALONE(a_call_ends_with_its_worker),
        ALONE(but_not_when_it_had_ended_before),
        ALONE(whatever_the_worker_had_not_read),
        ALONE(what_has_run_is_known_also_when_it_is_not_stored),
        ALONE(what_has_run_is_known_to_the_next_broker),
        ALONE(the_next_broker_takes_it_back),
        ALONE(while_somebody_lacks_its_answer_it_is_not_lent),
        ALONE(who_waits_has_it_taken_back),
        ALONE(a_program_that_waits_has_it_taken_back),
        ALONE(where_nobody_waits_it_stays_lent),
        ALONE(rules_without_workers_have_it_taken_back),
        ALONE(one_that_was_not_begun_is_lost),
        ALONE(one_that_was_its_last_is_its_last),
        ALONE(as_many_run_as_may_until_it_is_back),
    };

    find_broker();
    return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}
