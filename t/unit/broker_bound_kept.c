/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that is bound to a connection, and that a slot of the inbox keeps: it
 * does not run after its connection, whether the store does not take its end,
 * or the next broker finds it in its slot; or in the store.
 */
#include "t/unit/broker_bound.h"
#include "t/unit/broker_post.h"

static void is_accepted(void)
{
    make_inbox();
    start_broker();
    expect_ready();
    call_in();
    call_in_bound();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
}

static void comes_again(void)
{
    spawn_writer w;

    call_in_bound();
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void one_whose_end_is_not_stored_does_not_start(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_INSERT);
    is_accepted();
    wait_until_logged("MS0530", 1);
    assert_int_equal(full_slots(), 1);
    leave();
    has_heard();
    store_takes_again();
    say(SPAWN_M_GO);
    quiet_for(100);
    expect_end("4 - -");
    expect_sql("SELECT text FROM job",
               "the request that it is bound to has ended, or its caller has "
               "gone");
}

/* Its slot does not tell which process has submitted it. */
static void one_that_was_found_is_bound_by_its_caller(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_INSERT);
    is_accepted();
    wait_until_logged("MS0530", 1);
    kill_broker();
    (void)close(caller);
    caller = other;
    run_sql("DROP TRIGGER no");
    reach_go_and_call_in();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    comes_again();
    leave();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(SIGTERM);
    expect_end("4 - 15");
}

/* Its row does. */
static void so_is_one_that_the_store_has(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    call_in_bound();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_broker();
    expect_sql("SELECT state FROM job", "1");
    (void)close(caller);
    caller = other;
    reach_ready_and_call_in();
    comes_again();
    leave();
    has_heard();
    say(SPAWN_M_GO);
    quiet_for(100);
    expect_end("4 - -");
}

/* The answer of a slot goes out at once, and finds nobody. */
static void one_whose_caller_goes_before_its_answer_does_not_start(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    call_in_bound();
    (void)spawn_id_make(&job);
    broker_sleeps();
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    leave();
    broker_goes_on();
    has_heard();
    quiet_for(100);
    expect_end("4 - -");
}

/* Its caller was told that it is done; the signal may be lost. */
static void what_ends_it_is_sent_by_the_next_broker(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    has_heard();
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    kill_broker();
    (void)close(caller);
    caller = other;
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    say(SPAWN_M_TABLE_END);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    ends(SIGTERM);
    expect_end("4 - 15");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_whose_end_is_not_stored_does_not_start),
        ALONE(one_that_was_found_is_bound_by_its_caller),
        ALONE(so_is_one_that_the_store_has),
        ALONE(one_whose_caller_goes_before_its_answer_does_not_start),
        ALONE(what_ends_it_is_sent_by_the_next_broker)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("bound, in a slot", tests, NULL, NULL);
}
