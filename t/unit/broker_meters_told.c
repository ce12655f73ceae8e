/* SPDX-License-Identifier: Apache-2.0 */
/*
 * METERS is answered with what happened: how jobs ended, how many waited, which
 * submits were refused, and of whom; the broker after a killed one goes on with
 * these numbers, and says that it is the second. (Who may not see all queues is
 * in broker_access.c.)
 */
#include "t/unit/broker_jobs.h"
#include "t/unit/broker_post.h"

#define WAITERS_MAX 1024 /* of a connection (caller/connection.h) */

/* All rows of an answer; [0]: of all queues together. */
static spawn_message rows[8];
static uint8_t bytes[8][8192];
static unsigned count;

static void look(const char *queue)
{
    spawn_writer w;

    begin(&w, SPAWN_M_METERS, NULL);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
    for (count = 0;; count++) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type != SPAWN_M_METER)
            break;
        assert_true(count < 8 && packet.length <= sizeof(bytes[0]));
        memcpy(bytes[count], packet.data, packet.length);
        assert_int_equal(spawn_message_parse(bytes[count], packet.length,
                                             SPAWN_FROM_BROKER, 0, &rows[count],
                                             NULL),
                         0);
    }
    assert_int_equal(message.header.type, SPAWN_M_END);
}

static uint64_t told(unsigned row, unsigned attr, uint32_t at)
{
    const spawn_attr *a = &rows[row].attr[attr];

    assert_true(row < count && spawn_has(&rows[row], attr));
    assert_true(at < spawn_u64v_count(a));
    return spawn_u64v_at(a, at);
}

/* How many are in all buckets. */
static uint64_t times(unsigned row, unsigned attr)
{
    const spawn_attr *a = &rows[row].attr[attr];
    uint64_t sum = told(row, attr, 1);
    uint32_t i;

    for (i = 3; i < spawn_u64v_count(a); i += 2)
        sum += spawn_u64v_at(a, i);
    return sum;
}

static void submit_to(const char *queue)
{
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
}

/* One that is good, one that fails, one that cannot be started. */
static void three_end(void)
{
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(3 << 8);
    fails_to_start(SPAWN_STEP_CWD, ENOENT);
    has_heard();
}

static void of_three(unsigned row)
{
    assert_int_equal(told(row, SPAWN_A_COUNTS, SPAWN_COUNT_SUBMITTED), 3);
    assert_int_equal(told(row, SPAWN_A_COUNTS, SPAWN_COUNT_FAILED), 2);
    assert_int_equal(told(row, SPAWN_A_OUTCOMES, SPAWN_OUTCOME_EXITED), 2);
    assert_int_equal(told(row, SPAWN_A_OUTCOMES, SPAWN_OUTCOME_START_FAILED),
                     1);
    assert_int_equal(told(row, SPAWN_A_OUTCOMES, SPAWN_OUTCOME_LOST), 0);
    assert_int_equal(times(row, SPAWN_A_WAITED), 2);
}

static void what_happened_is_told(void **state)
{
    (void)state;
    reach_go_and_call_in();
    three_end();
    submit_to("nowhere");
    look(NULL);
    assert_int_equal(count, 3);
    assert_false(spawn_has(&rows[0], SPAWN_A_QUEUE));
    assert_string_equal(spawn_str_or(&rows[1], SPAWN_A_QUEUE, "?"), "");
    assert_string_equal(spawn_str_or(&rows[2], SPAWN_A_QUEUE, ""), "default");
    of_three(0);
    of_three(2);
    assert_int_equal(told(1, SPAWN_A_REFUSALS, SPAWN_E_UNKNOWN_QUEUE), 1);
    assert_int_equal(told(0, SPAWN_A_REFUSALS, SPAWN_E_UNKNOWN_QUEUE), 1);
    assert_int_equal(told(2, SPAWN_A_REFUSALS, SPAWN_E_UNKNOWN_QUEUE), 0);
    assert_true(times(0, SPAWN_A_COMMITS) > 0);
    assert_int_equal(told(0, SPAWN_A_PAIR, SPAWN_PAIR_BROKER_PID), broker);
    assert_int_equal(told(0, SPAWN_A_PAIR, SPAWN_PAIR_SPAWNER_PID), getpid());
    assert_true(told(0, SPAWN_A_PAIR, SPAWN_PAIR_BROKER_MEMORY) > 0);
}

static void a_full_queue_is_counted(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    queue_jobs = 1;
    queue_waits = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    for (i = 0; i < 2; i++)
        submit_to("default");
    look("default");
    queue_jobs = queue_waits = 10;
    assert_int_equal(told(2, SPAWN_A_REFUSALS, SPAWN_E_QUEUE_FULL), 2);
    assert_int_equal(spawn_u64_or(&rows[2], SPAWN_A_RUNNING, 0), 1);
    assert_int_equal(spawn_u64_or(&rows[2], SPAWN_A_WAITING, 0), 1);
    begin(&w, SPAWN_M_METERS, NULL);
    spawn_put_str(&w, SPAWN_A_QUEUE, "nowhere");
    ask(&w);
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
}

static void waits_for_its_end(unsigned type)
{
    spawn_writer w;

    if (type == SPAWN_M_SUBMIT) {
        (void)spawn_id_make(&job);
        begin_submit(&w, &job, "/bin/true");
        spawn_put_u64(&w, SPAWN_A_DELAY, 3600000); /* it is stored first */
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    }
    else {
        begin(&w, SPAWN_M_WAIT, &job);
        spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    }
    ask(&w);
}

/* A caller that only waits for it at the same time submits nothing. */
static void so_is_a_submit_that_waits_for_the_end(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    reach_go_and_call_in();
    broker_sleeps();
    waits_for_its_end(SPAWN_M_SUBMIT);
    waits_for_its_end(SPAWN_M_WAIT);
    broker_goes_on();
    expect_answer(SPAWN_M_REFUSED);
    expect_answer(SPAWN_M_REFUSED);
    look(NULL);
    assert_int_equal(told(2, SPAWN_A_REFUSALS, SPAWN_E_STORE), 1);
    assert_int_equal(told(0, SPAWN_A_REFUSALS, SPAWN_E_STORE), 1);
    log_is_kept = false;
}

/* Nobody waits for an answer, but for the log. */
static void so_is_a_post_that_is_refused(void **state)
{
    spawn_id id;

    (void)state;
    log_is_kept = true;
    make_inbox();
    queue_jobs = queue_waits = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    post(&id);
    wait_until_logged("MS0560", 1);
    look("default");
    queue_jobs = queue_waits = 10;
    log_is_kept = false;
    assert_int_equal(told(2, SPAWN_A_REFUSALS, SPAWN_E_QUEUE_FULL), 1);
}

/* As many wait for jobs as one connection may. */
static void so_is_one_too_many_of_a_connection(void **state)
{
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    for (i = 0; i < WAITERS_MAX; i++) {
        waits_for_its_end(SPAWN_M_WAIT);
        if (i % 64 == 0)
            has_heard(); /* its socket has room for some hundred */
    }
    waits_for_its_end(SPAWN_M_SUBMIT);
    expect_refusal(SPAWN_E_INVALID);
    look(NULL);
    assert_int_equal(told(2, SPAWN_A_REFUSALS, SPAWN_E_INVALID), 1);
}

static void the_next_broker_goes_on(void **state)
{
    uint64_t since;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    three_end();
    look(NULL);
    since = told(0, SPAWN_A_PAIR, SPAWN_PAIR_SINCE);
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    look(NULL);
    of_three(0);
    of_three(2);
    assert_int_equal(told(0, SPAWN_A_PAIR, SPAWN_PAIR_BROKERS), 2);
    assert_int_equal(told(0, SPAWN_A_PAIR, SPAWN_PAIR_SPAWNERS), 1);
    assert_int_equal(told(0, SPAWN_A_PAIR, SPAWN_PAIR_SINCE), since);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    has_heard();
    look(NULL);
    assert_int_equal(told(2, SPAWN_A_COUNTS, SPAWN_COUNT_SUBMITTED), 4);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_happened_is_told),
        ALONE(a_full_queue_is_counted),
        ALONE(so_is_a_submit_that_waits_for_the_end),
        ALONE(so_is_a_post_that_is_refused),
        ALONE(so_is_one_too_many_of_a_connection),
        ALONE(the_next_broker_goes_on)};

    if (getsid(0) == 0) /* it began outside of our namespace */
        (void)setsid();
    find_broker();
    return cmocka_run_group_tests_name("numbers of the broker", tests, NULL,
                                       NULL);
}
