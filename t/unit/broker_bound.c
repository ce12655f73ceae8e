/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that is bound to its caller's connection ends when that closes, with
 * TERM, and KILL after its grace; no other job does.
 */
#include "t/unit/broker_bound.h"

#define MESSAGES_A_TURN 16 /* broker/caller/connection.c */

static void begin_program(spawn_writer *w)
{
    begin_submit(w, &job, "/bin/true");
}

static void expect_text(void)
{
    expect_sql("SELECT text FROM job ORDER BY seq DESC LIMIT 1",
               "the request that it is bound to has ended, or its caller has "
               "gone");
}

static void one_that_runs_gets_term_and_has_its_grace(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    leave();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(SIGTERM);
    expect_end("4 - 15");
    expect_text();
}

static void then_it_is_killed(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 50, SPAWN_REPLY_ACCEPTED);
    leave();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("4 - 9");
    expect_text();
}

static void one_that_waits_is_cancelled(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    call_in_bound();
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    leave();
    say(SPAWN_M_GO);
    quiet_for(100); /* it does not start */
    expect_end("4 - -");
    expect_text();
}

/* Its caller does not wait for the answer: it is read before the end of the
 * connection is. */
static void one_that_was_only_sent_does_not_stay(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    call_in_bound();
    submit_for(0, 0, SPAWN_REPLY_STARTED);
    leave();
    say(SPAWN_M_GO);
    quiet_for(100);
    expect_end("4 - -");
}

static void one_that_has_ended_stays_as_it_is(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    leave();
    quiet_for(100);
    expect_end("1 0 -");
}

static void others_go_on(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    leave(); /* which has no job */
    call_in_bound();
    (void)close(other); /* which is not bound */
    other = -1;
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    quiet_for(100);
    ends(0);
    expect_end("1 0 -");
}

/* As it does when the connection has broken, and the job was not answered. */
static void one_that_is_sent_again_is_bound_again(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    call_in_bound();
    begin_program(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    leave();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(SIGTERM);
    expect_end("4 - 15");
}

/* A child has another pid. */
static void one_of_another_process_is_not_ended(void **state)
{
    spawn_writer w;
    int status;
    pid_t pid;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        call_in_bound();
        begin_program(&w);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
        ask(&w);
        expect_answer(SPAWN_M_ACCEPTED);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    quiet_for(100);
    ends(0);
    expect_end("1 0 -");
}

static void a_connection_has_one(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    submit_for(0, 0, SPAWN_REPLY_POSTED); /* which is only sent here */
    expect_refusal(SPAWN_E_INVALID);
}

/* Its caller may not have had the answer. */
static void and_takes_that_one_again(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    begin_program(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    leave();
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    ends(SIGTERM);
    expect_end("4 - 15");
}

static void none_is_durable(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    (void)spawn_id_make(&job);
    begin_program(&w);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_refusal(SPAWN_E_INVALID);
}

/* By a caller whose first connection a broker before this one had. */
static void a_kill_over_such_a_connection_has_its_grace(void **state)
{
    (void)state;
    reach_go_and_call_in();
    job_runs(0, 50, SPAWN_REPLY_ACCEPTED);
    call_in_bound();
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* Neither is its grace begun anew. */
static void a_second_kill_is_the_first_one(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 500, SPAWN_REPLY_ACCEPTED);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    ends(SIGKILL);
    expect_end("4 - 9");
}

static void one_that_was_killed_gets_no_term(void **state)
{
    (void)state;
    reach_go_and_call_in();
    call_in_bound();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    kill_it(SIGKILL);
    expect_answer(SPAWN_M_DONE);
    expect_signal(SIGKILL, SPAWN_LEFT_KILL);
    leave();
    has_heard();
    quiet_for(20);
    ends(SIGKILL);
    expect_end("4 - 9");
}

/* More than the broker reads of a caller in one turn: so it does not see that
 * the caller has gone before the answers of that turn do. */
static void is_sent_and_left(void)
{
    spawn_writer w;
    int i;

    call_in_bound();
    (void)spawn_id_make(&job);
    broker_sleeps();
    for (i = 0; i < MESSAGES_A_TURN; i++) {
        begin_program(&w);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
        ask(&w);
    }
    leave();
    broker_goes_on();
}

/* That it starts is stored by then. */
static void one_whose_answer_finds_nobody_is_ended(void **state)
{
    (void)state;
    reach_go_and_call_in();
    is_sent_and_left();
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_signal(SIGTERM, SPAWN_LEFT_WAIT);
    say_started(&job);
    ends(SIGTERM);
    expect_end("4 - 15");
    expect_text();
}

/* Nothing else happens after that. */
static void so_is_one_that_waits(void **state)
{
    (void)state;
    make_store();
    start_broker();
    expect_ready();
    call_in();
    is_sent_and_left();
    comes_to_rest();
    kill_broker();
    expect_sql("SELECT state || ' ' || outcome FROM job", "4 4");
    expect_text();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_runs_gets_term_and_has_its_grace),
        ALONE(then_it_is_killed),
        ALONE(one_that_waits_is_cancelled),
        ALONE(one_that_was_only_sent_does_not_stay),
        ALONE(one_that_has_ended_stays_as_it_is),
        ALONE(others_go_on),
        ALONE(one_that_is_sent_again_is_bound_again),
        ALONE(one_of_another_process_is_not_ended),
        ALONE(a_connection_has_one),
        ALONE(and_takes_that_one_again),
        ALONE(none_is_durable),
        ALONE(a_second_kill_is_the_first_one),
        ALONE(one_that_was_killed_gets_no_term),
        ALONE(a_kill_over_such_a_connection_has_its_grace),
        ALONE(one_whose_answer_finds_nobody_is_ended),
        ALONE(so_is_one_that_waits)};

    find_broker();
    return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
