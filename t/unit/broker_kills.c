/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cancelled job gets the signal that was named, as the job is by then.
 */
#include "common/spawn_rule.h"
#include "t/unit/broker_jobs.h"

static void one_that_waits_is_cancelled_at_once(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    say(SPAWN_M_GO);
    quiet_for(100); /* it does not start */
    expect_end("4 - -");
}

static void one_that_starts_gets_the_signal(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGTERM);
    expect_end("4 - 15");
}

/* Without a signal it is stopped: KILL follows, after its grace of 300 ms. */
static void one_that_is_stopped_gets_kill_after_its_grace(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 300, SPAWN_REPLY_ACCEPTED);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("4 - 9");
}

static void one_that_is_told_to_end_gets_no_kill(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 100, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    quiet_for(400);
    ends(0);
}

static void one_that_runs_gets_the_signal_that_is_named(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGUSR1);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGUSR1, SPAWN_LEFT_ALONE);
    ends(SIGUSR1);
    expect_end("4 - 10");
}

static void one_that_ends_otherwise_was_not_cancelled(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGSEGV);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    ends(0);
    end_broker();
    expect_sql("SELECT group_concat(outcome) FROM"
               " (SELECT * FROM job ORDER BY seq)",
               "2,1");
}

static void one_that_has_ended_is_not_running(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    kill_it(0);
    expect_refusal(SPAWN_E_NOT_RUNNING);
}

/* Its template comes back with the order: who cancelled it has it cancelled. */
static void a_function_that_was_not_forked_is_cancelled(void **state)
{
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_end("4 - -");
}

/* The sender of another signal does not want it to end. */
static void one_that_is_told_something_is_forked_again(void **state)
{
    static const int signals[] = {SIGUSR1, SIGHUP, SIGCONT};
    spawn_id template;
    spawn_writer w;
    size_t i;

    (void)state;
    reach_a_template(&template);
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        begin_function(&w, &job);
        function_is_ordered(&w, &job, &template);
        kill_it(signals[i]);
        expect_answer(SPAWN_M_DONE);
        expect_signal(signals[i], SPAWN_LEFT_ALONE);
        say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
        expect_id(SPAWN_M_FORGET, &job);
        expect_order(&job, &template);
        say_started(&job);
        ends(0);
    }
    expect_end("1 0 -");
}

/* It does not hang: its end is on its way, and will tell. */
static void who_was_killed_is_waited_for(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_so(getpid(), 0, false);
    expect_answer(SPAWN_M_JOB);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    time_passes(1);
    time_passes(1);
    time_passes(1);
    quiet_for(1);
    assert_false(was_put_aside(&job)); /* its number is known */
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* Whether it hangs cannot be seen without its number. */
static void one_that_was_killed_before_it_was_seen_is_asked_for(void **state)
{
    (void)state;
    reach_go_and_call_in();
    time_stands();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    time_moves(999);
    is_there();
    quiet_for(1);
    assert_false(was_put_aside(&job));
    time_moves(2);
    is_there();
    expect_id(SPAWN_M_TELL_PID, &job);
    time_goes_on();
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* It has TERM and its grace already, and would be tried again. */
static void one_over_its_time_is_not_tried_again(void **state)
{
    static const uint64_t at_once[] = {SPAWN_BACKOFF_FIXED, 0};
    static const uint64_t on[] = {SPAWN_RETRY_ON_TIMEOUT};
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 50);
    spawn_put_u64(&w, SPAWN_A_GRACE, FOREVER);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, at_once, 2);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    ends(SIGTERM);
    quiet_for(100);
    expect_end("3 - 15");
}

/* Nobody but the store knows it: who was told has it in writing. */
static void a_cancel_is_stored_when_it_is_done(void **state)
{
    (void)state;
    make_store();
    start_broker();
    expect_ready();
    call_in();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    kill_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 4");
}

static void another_broker_finds_it(void)
{
    spawn_writer w;

    kill_broker();
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    say(SPAWN_M_TABLE_END);
}

/* It was on its way when the broker was killed, or the spawner, and its caller
 * has been told that it is done. */
static void is_sent_again(bool stored)
{
    make_store();
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    if (stored)
        a_moment_passes();
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    another_broker_finds_it();
    expect_signal(SIGTERM, SPAWN_LEFT_ALONE);
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    ends(SIGTERM);
    expect_end("4 - 15");
}

static void what_ends_it_is_sent_again(void **state)
{
    (void)state;
    is_sent_again(false);
}

/* Nothing else of it is to be stored. */
static void so_it_is_to_one_that_is_stored_already(void **state)
{
    (void)state;
    is_sent_again(true);
}

/* Once more it may mean something else. */
static void what_only_tells_it_something_is_not(void **state)
{
    (void)state;
    make_store();
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGUSR1);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGUSR1, SPAWN_LEFT_ALONE);
    another_broker_finds_it();
    expect(SPAWN_M_BROKER_READY);
}

/* ---- one after the other ---- */

static void is_sent(int signo, unsigned left)
{
    kill_it(signo);
    expect_answer(SPAWN_M_DONE);
    expect_signal(signo, left);
}

static void
what_tells_it_something_does_not_count_for_what_ends_it(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    is_sent(SIGTERM, SPAWN_LEFT_ALONE);
    is_sent(SIGUSR1, SPAWN_LEFT_ALONE);
    ends(SIGTERM);
    expect_end("4 - 15");
}

static void of_two_that_end_it_the_last_one_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    is_sent(SIGINT, SPAWN_LEFT_ALONE);
    is_sent(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGTERM);
    expect_end("4 - 15");
}

static void after_kill_none_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    is_sent(SIGKILL, SPAWN_LEFT_KILL);
    is_sent(SIGTERM, SPAWN_LEFT_ALONE);
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* It may look at it between two steps of its work. */
static void a_function_reads_that_it_is_to_end(void **state)
{
    spawn_id template;
    spawn_board *board;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    function_is_ordered(&w, &job, &template);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    assert_non_null(board);
    is_sent(SIGUSR1, SPAWN_LEFT_ALONE);
    assert_false(spawn_board_cancelled(board));
    is_sent(SIGTERM, SPAWN_LEFT_ALONE);
    assert_true(spawn_board_cancelled(board));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_waits_is_cancelled_at_once),
        ALONE(one_that_starts_gets_the_signal),
        ALONE(one_that_is_stopped_gets_kill_after_its_grace),
        ALONE(one_that_is_told_to_end_gets_no_kill),
        ALONE(one_that_runs_gets_the_signal_that_is_named),
        ALONE(one_that_ends_otherwise_was_not_cancelled),
        ALONE(one_that_has_ended_is_not_running),
        ALONE(a_function_that_was_not_forked_is_cancelled),
        ALONE(one_that_is_told_something_is_forked_again),
        STEPPED(who_was_killed_is_waited_for),
        STEPPED(one_that_was_killed_before_it_was_seen_is_asked_for),
        ALONE(one_over_its_time_is_not_tried_again),
        ALONE(a_cancel_is_stored_when_it_is_done),
        ALONE(what_ends_it_is_sent_again),
        ALONE(so_it_is_to_one_that_is_stored_already),
        ALONE(what_only_tells_it_something_is_not),
        ALONE(what_tells_it_something_does_not_count_for_what_ends_it),
        ALONE(of_two_that_end_it_the_last_one_counts),
        ALONE(after_kill_none_counts),
        ALONE(a_function_reads_that_it_is_to_end)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("kills", tests, NULL, NULL);
}
