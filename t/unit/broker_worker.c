/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker with workers, and with a store that takes nothing (one with a
 * trigger): this program plays spawner, template, worker and caller, so that
 * each message comes when the test wants it.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

/* Jobs that were to be stored later, or again, are due by now. */
static void broker_wakes(void)
{
    if (clocks_are_real())
        (void)poll(NULL, 0, 1100);
    steps[0] += 2;
    steps[1] += 2;
    broker_goes_on();
}

/* ---- what is promised ---- */

static void an_exit_is_kept_until_the_end_of_its_call_is_stored(void **state)
{
    worker w, next;
    spawn_id template, id;

    (void)state;
    make_store_that_fails(NO_END);
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    stays_quiet(); /* no FORGET */
    kill_broker();

    run_sql("DROP TRIGGER no");
    start_broker();
    say_running_worker(&w);
    say_exited(&w.id, 0, SIGKILL);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &w.id);
    end_broker();
    expect_sql("SELECT signal FROM job", "9");
}

static void a_call_that_has_run_is_told_though_it_cannot_be_stored(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    broker_sleeps();
    worker_returns(&w, &id);
    broker_wakes();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
}

static void a_call_that_waited_runs_though_it_cannot_be_stored(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    broker_sleeps();
    worker_says(&w, NULL);
    broker_wakes();
    expect_call(&w, &id);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
}

static unsigned long ticks_of_broker(void)
{
    unsigned long user = 0, kernel = 0;
    char path[64];
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_int_equal(fscanf(in,
                            "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u "
                            "%*u %*u %lu %lu",
                            &user, &kernel),
                     2);
    (void)fclose(in);
    return user + kernel;
}

static void with_a_store_that_fails_calls_wait_quietly(void **state)
{
    spawn_id template, id[3];
    unsigned long before;
    worker w;
    int i;

    (void)state;
    make_store();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&id[i]);
        put_job(&id[i], SPAWN_STATE_QUEUED, "My::f");
    }
    run_sql("CREATE TRIGGER no " NO_UPDATE
            " BEGIN SELECT RAISE(ABORT, 'full'); END");
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    is_there();
    later_by(2); /* it has tried again */
    is_there();
    before = ticks_of_broker();
    (void)poll(NULL, 0, 500);
    assert_true(ticks_of_broker() - before
                < (unsigned long)sysconf(_SC_CLK_TCK) / 6);
}

static void calls_that_wait_in_the_store_are_for_workers_again(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    make_store();
    (void)spawn_id_make(&id);
    put_job(&id, SPAWN_STATE_QUEUED, "My::f");
    reach_workers(0, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    expect_call(&w, &id);
}

/* Nothing else comes that could cause the turn in which it is. */
static void that_a_call_runs_is_stored(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    make_store();
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    comes_to_rest();
    the_store_has("1");
    expect_sql("SELECT state FROM job", "3");
}

static void one_that_may_have_told_a_dead_broker_is_replaced(void **state)
{
    spawn_id template;
    worker w, next;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&w);
    kill_broker();
    start_broker();
    say_running_app(&template);
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    worker_starts(&next);
    expect_no_more(&w);
}

static void one_that_idles_leaves_though_its_broker_died(void **state)
{
    spawn_id template;
    worker w;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    is_there(); /* and it knows that */
    kill_broker();
    workers_min = 0;
    worker_idle = 100;
    start_broker();
    say_running_app(&template);
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_no_more(&w);
}

static void one_that_talks_without_end_holds_up_nobody(void **state)
{
    spawn_id template, id;
    pid_t talker;
    worker w;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&w);
    (void)spawn_id_make(&id);
    talker = fork();
    if (talker == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        for (;;)
            (void)try_to_say(&w, &id);
    }
    (void)usleep(200000);
    answers();
    (void)kill(talker, SIGKILL); /* our child, not yet reaped */
    (void)waitpid(talker, NULL, 0);
}

static void a_signal_does_not_meet_the_next_call(void **state)
{
    spawn_id template, id;
    spawn_writer kill_it;
    worker w, next;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    begin(&kill_it, SPAWN_M_KILL, &id);
    ask(&kill_it);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    worker_returns(&w, &id);
    expect_no_more(&w);
    worker_starts(&next);
}

static void calls_outlive_the_workers_that_the_rules_take_away(void **state)
{
    spawn_id template, id;
    worker w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_starts(&w);
    (void)usleep(100000); /* it could not be stored */
    workers_max = 0;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    (void)close(caller);
    call_in();
    is_there();
    kill_broker();
    run_sql("DROP TRIGGER no");
}

static void what_was_accepted_does_not_end_with_the_pair(void **state)
{
    spawn_id program;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    (void)spawn_id_make(&program);
    submit_as(&program, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    say(SPAWN_M_LINGER);
    stays_quiet(); /* no BYE */
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    expect_ready();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(an_exit_is_kept_until_the_end_of_its_call_is_stored),
        ALONE(a_call_that_has_run_is_told_though_it_cannot_be_stored),
        ALONE(a_call_that_waited_runs_though_it_cannot_be_stored),
        ALONE(with_a_store_that_fails_calls_wait_quietly),
        ALONE(calls_that_wait_in_the_store_are_for_workers_again),
        ALONE(that_a_call_runs_is_stored),
        ALONE(one_that_may_have_told_a_dead_broker_is_replaced),
        ALONE(one_that_idles_leaves_though_its_broker_died),
        ALONE(one_that_talks_without_end_holds_up_nobody),
        ALONE(a_signal_does_not_meet_the_next_call),
        ALONE(calls_outlive_the_workers_that_the_rules_take_away),
        ALONE(what_was_accepted_does_not_end_with_the_pair)};

    find_broker();
    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
