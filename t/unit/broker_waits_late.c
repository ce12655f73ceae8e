/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that comes to wait for a job which has just ended is told that at
 * once, as one is that had come before the end: it does not wait for the moment
 * when the end is stored with others. In these tests time stands still, so that
 * this moment does not come. This program plays spawner, worker and caller.
 */
#include "t/unit/broker_unstored.h"

static void waits_for(spawn_reply want)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, want);
    ask(&w);
}

static void waits(void)
{
    waits_for(SPAWN_REPLY_FINISHED);
}

static void waits_for_its_start(void)
{
    waits_for(SPAWN_REPLY_STARTED);
}

static void comes_again(void)
{
    submit_for(SPAWN_REPLY_FINISHED);
}

static void (*const questions[])(void) = {waits, waits_for_its_start,
                                          comes_again};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static void expect_end(int code)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), code);
}

/* In another turn than the question. */
static void ends(bool somebody_waits)
{
    say_exited(&job, 0, 5 << 8);
    if (somebody_waits)
        expect_end(5);
    has_heard();
}

/* And the store has it once, a moment later. */
static void an_end_that_the_store_does_not_have_is_told_at_once(void **state)
{
    unsigned i, way;

    (void)state;
    for (i = 0; i < QUESTIONS * WAYS; i++) {
        if (i)
            is_anew();
        begins();
        way = i % WAYS;
        ways[way]();
        say_started(&job);
        ends(ways[way] == waits_for_its_end);
        questions[i / WAYS]();
        expect_end(5);
        quiet_for(NO_EVENT); /* no FORGET: it is not stored */
        waits();
        expect_end(5);
        time_moves(20);
        expect_id(SPAWN_M_FORGET, &job);
        waits();
        expect_end(5);
        expect_jobs("4 1 5 -");
    }
}

/* The store says that it runs: it is corrected first. */
static void one_that_the_store_has_is_stored_for_that(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < QUESTIONS; i++) {
        if (i)
            is_anew();
        begins();
        is_accepted();
        say_started(&job);
        time_moves(20);
        is_there();
        ends(false);
        questions[i]();
        expect_end(5);
        expect_id(SPAWN_M_FORGET, &job);
        expect_jobs("4 1 5 -");
    }
}

/* Nobody waited for the call when it returned. */
static void a_call_that_has_returned_is_told(void **state)
{
    spawn_id template;
    worker w;

    (void)state;
    reach_a_worker(&w, &template);
    time_stands();
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &job);
    worker_returns(&w, &job);
    has_heard();
    waits();
    expect_end(0);
}

/* It may take nothing for long. */
static void it_is_told_while_the_store_fails(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    waits_for_its_end();
    say_started(&job);
    wait_until_logged("MS0530", 1);
    ends(true);
    waits();
    expect_end(5);
    store_takes_again();
    expect(SPAWN_M_FORGET);
    expect_jobs("4 1 5 -");
}

#define LATE(test)                                                             \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATE(an_end_that_the_store_does_not_have_is_told_at_once),
        LATE(one_that_the_store_has_is_stored_for_that),
        LATE(a_call_that_has_returned_is_told),
        LATE(it_is_told_while_the_store_fails)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("waits_late", tests, NULL, NULL);
}
