/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are dead: their retries are used up. They are listed, and can
 * be revived. The protocol of broker_retried.h.
 */
#include "t/unit/broker_retried.h"

static void revive(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_REVIVE, &job);
    ask(&w);
}

static void one_that_is_dead_can_be_tried_again(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    revive();
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
    fails_and_is_tried_again(4);
    fails_and_is_tried_again(5);
    fails_for_good(6);
    store_says("4 6 0 1 1:1:3,2:1:3,3:1:3,4:1:3,5:1:3");
}

static void others_cannot(void **state)
{
    (void)state;
    a_program_runs();
    revive();
    expect_refusal(SPAWN_E_NOT_DEAD);
    attempt_ends(1, 0);
    is_forgotten();
    revive();
    expect_refusal(SPAWN_E_NOT_DEAD);
    (void)spawn_id_make(&job);
    revive();
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

static void a_store_that_takes_nothing_leaves_it_dead(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    waits_in_the_store();
    run_sql("UPDATE job SET state = 4, outcome = 1, exit_code = 3, attempt = 3,"
            " retries = 0, dead = 1, end_seq = 1");
    store_fails(NO_UPDATE);
    reach_go_and_call_in();
    revive();
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    quiet_for(1);
    store_says("4 3 0 1 -");
    log_is_kept = false;
}

static void is_dead_in_the_store(void)
{
    make_store();
    waits_in_the_store();
    run_sql("UPDATE job SET state = 4, outcome = 1, exit_code = 3, attempt = 3,"
            " retries = 0, dead = 1, end_seq = 1");
}

/* It has ended as long as the store does not say that it waits again. */
static void a_kill_in_the_same_turn_comes_too_early(void **state)
{
    (void)state;
    is_dead_in_the_store();
    reach_go_and_call_in();
    broker_sleeps();
    revive();
    kill_it(SIGTERM);
    broker_goes_on();
    expect_refusal(SPAWN_E_NOT_RUNNING);
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
}

/* It has as many as at first, also for the next broker. */
static void its_retries_begin_anew(void **state)
{
    (void)state;
    is_dead_in_the_store();
    start_broker();
    expect_ready();
    call_in(); /* and no GO: it waits */
    revive();
    expect_answer(SPAWN_M_DONE);
    has_heard();
    store_says("1 4 2 0 3:1:3");
}

static void who_waits_for_one_that_stays_dead_is_told(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    is_dead_in_the_store();
    store_fails(NO_UPDATE);
    reach_go_and_call_in();
    broker_sleeps();
    revive();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    log_is_kept = false;
}

/* Nobody can say whether it may be tried again, nor do so: it stays, with what
 * it was given. */
static void one_that_cannot_be_read_is_kept(void **state)
{
    static const char *const ends[] = {"4 2 0 1 - 1", "4 2 0 0 - 0"};
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        make_store();
        run_sql("DELETE FROM job; DELETE FROM input");
        waits_in_the_store();
        run_sql("UPDATE job SET body = x'00', state = 3, attempt = 2,"
                " retries = 1;"
                "INSERT INTO input SELECT seq, x'01', x'02' FROM job");
        start_broker();
        attempt_runs(2);
        goes_on();
        attempt_ends(2, i ? 0 : EXIT(3));
        is_forgotten();
        if (i == 0) {
            revive();
            expect_refusal(SPAWN_E_STORE);
        }
        has_heard();
        time_moves(100000);
        has_heard();
        quiet_for(1);
        kill_broker();
        time_goes_on();
        expect_sql("SELECT state || ' ' || attempt || ' ' || 0 || ' ' || dead"
                   " || ' - ' || (SELECT count(*) FROM input) FROM job",
                   ends[i]);
    }
}

static unsigned rows_of_dead(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    ask(&w);
    expect_answer(SPAWN_M_END);
    return (unsigned)spawn_u64_or(&message, SPAWN_A_DEAD, 99);
}

static void they_are_listed_and_counted(void **state)
{
    spawn_writer w;

    (void)state;
    a_program_runs();
    assert_int_equal(rows_of_dead(), 0);
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    assert_int_equal(rows_of_dead(), 1);
    begin(&w, SPAWN_M_LIST, NULL);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_u64_or(&message, SPAWN_A_DEAD, 0));
    expect_answer(SPAWN_M_END);
    revive();
    expect_answer(SPAWN_M_DONE);
    expect_attempt(4);
    assert_int_equal(rows_of_dead(), 0);
}

/* ---- in the history ---- */

static const uint64_t no_pause[] = {SPAWN_BACKOFF_FIXED, 0};

static void fails_twice_from(unsigned attempt)
{
    attempt_ends(attempt, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    expect_attempt(attempt + 1);
    attempt_ends(attempt + 1, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
}

/* Another one has ended, and this one is dead. */
static void two_have_ended(unsigned history)
{
    spawn_writer w;

    history_jobs = history;
    make_store();
    reach_go_and_call_in();
    begin_program(&w, 0, NULL, 0);
    is_submitted(&w);
    attempt_ends(1, 0);
    expect_id(SPAWN_M_FORGET, &job);
    begin_program(&w, 1, no_pause, 2);
    is_submitted(&w);
    fails_twice_from(1);
}

/* A job over the count goes when it has ended long ago. */
static void history_has(const char *count)
{
    has_heard();
    later_by(20);
    has_heard();
    later_by(200);
    has_heard();
    has_heard();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", count);
}

static void one_that_is_revived_takes_nobodys_place(void **state)
{
    (void)state;
    two_have_ended(2);
    revive();
    expect_answer(SPAWN_M_DONE);
    expect_attempt(3);
    fails_twice_from(3);
    history_has("2");
}

static void one_that_is_tried_again_counts_when_it_ends(void **state)
{
    (void)state;
    two_have_ended(1);
    history_has("1");
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(one_that_is_dead_can_be_tried_again),
        ALONE(others_cannot),
        ALONE(a_store_that_takes_nothing_leaves_it_dead),
        ALONE(a_kill_in_the_same_turn_comes_too_early),
        ALONE(its_retries_begin_anew),
        ALONE(who_waits_for_one_that_stays_dead_is_told),
        ALONE(one_that_cannot_be_read_is_kept),
        ALONE(they_are_listed_and_counted),
        ALONE(one_that_is_revived_takes_nobodys_place),
        ALONE(one_that_is_tried_again_counts_when_it_ends),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry dead", tests, NULL, NULL);
}
