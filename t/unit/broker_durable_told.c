/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of the spawner on jobs before a broker could read the store: each
 * counts once, also when the ledger is read much later. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_retry.h"

/* Its ledger cannot be read: a durable job waits there. */
static void next_broker_begins(void)
{
    kill_broker();
    hold_the_lock();
    start_broker();
}

static void next_broker_goes_on(void)
{
    say(SPAWN_M_GO);
    call_in();
    wait_until_logged("MS0696", 1);
}

static void next_broker_is_ready(void)
{
    expect_ready();
    next_broker_goes_on();
}

/* In the table as starting, and then that it has started. */
static void next_broker_is_told_that_it_starts(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    say_started(&job);
    next_broker_is_ready();
}

static void submit_one_that_is_tried_again(void)
{
    static const uint64_t at_once[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, at_once, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* As of a start, which is none of the second attempt. */
static void one_that_started_before_starts_again(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    submit_one_that_is_tried_again();
    expect_id(SPAWN_M_LAUNCH, &job);
    has_heard();
    next_broker_begins();
    next_broker_is_told_that_it_starts();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
    say_exited(&job, 0, 0x0300);
    expect_id(SPAWN_M_FORGET, &job);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), 2);
    the_lock_is_free();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_STARTING);
}

static void what_is_held_for_nobody_is_let_go_once(void **state)
{
    spawn_writer w;
    int ends[2];

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    has_heard();
    next_broker_begins();
    (void)spawn_id_make(&job);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, ends, 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_RELEASE, &job);
    expect(SPAWN_M_BROKER_READY);
    next_broker_goes_on();
    the_lock_is_free();
    quiet_for(1);
}

static void an_end_that_the_store_has_is_forgotten_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    submit_one_that_is_tried_again();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    next_broker_begins();
    say_exited(&job, 0, 0);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_FORGET, &job);
    expect(SPAWN_M_BROKER_READY);
    next_broker_goes_on();
    the_lock_is_free();
    quiet_for(1);
}

/* The store has lost it. */
static void a_start_of_one_that_only_the_ledger_knows_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    has_heard();
    kill_broker();
    run_sql("DELETE FROM job");
    hold_the_lock();
    start_broker();
    next_broker_is_told_that_it_starts();
    the_lock_is_free();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
}

/* There is nothing left that might know it. */
static void an_end_that_nobody_knows_is_forgotten_afterwards(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    has_heard();
    next_broker_begins();
    next_broker_is_ready();
    the_lock_is_free();
    (void)spawn_id_make(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_started_before_starts_again),
        TEST(what_is_held_for_nobody_is_let_go_once),
        TEST(an_end_that_the_store_has_is_forgotten_once),
        TEST(a_start_of_one_that_only_the_ledger_knows_counts),
        TEST(an_end_that_nobody_knows_is_forgotten_afterwards),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
