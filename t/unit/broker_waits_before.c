/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that wait for a job which nobody knows, or which has ended, and which
 * is submitted, or revived, before they are answered: they wait as if they had
 * come after it. The protocol of broker_retried.h.
 */
#include "t/unit/broker_retried.h"

#define WAITS 1000

/* The broker takes what has come in one turn in an order of its own. So one
 * caller waits in front of the event, by `caller`, and one behind it. The first
 * message wakes the broker, and may have a turn of its own. */
enum {
    DOES,
    BEHIND,
    WAKES,
    OTHERS
};
static int others[OTHERS];

static void by(int which)
{
    int first = caller;

    caller = others[which];
    others[which] = first;
}

static void others_come(void)
{
    int i;

    for (i = 0; i < OTHERS; i++) {
        others[i] = caller;
        call_in();
        by(i);
    }
}

static int all_gone(void **state)
{
    int i;

    for (i = 0; i < OTHERS; i++) {
        if (others[i] > 0)
            (void)close(others[i]);
        others[i] = 0;
    }
    return tear_down_clock(state);
}

/* In one turn. */
static void happens(void (*who_waits)(void), spawn_writer *what)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    broker_sleeps();
    by(WAKES);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    by(WAKES);
    who_waits();
    by(DOES);
    ask(what);
    by(DOES);
    by(BEHIND);
    who_waits();
    by(BEHIND);
    broker_goes_on();
}

/* The broker may take only some at a time. */
static void waits(unsigned want, uint64_t ms)
{
    struct pollfd room = {caller, POLLOUT, 0};
    spawn_writer w;
    int rv;

    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, want);
    if (ms)
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, ms);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    while ((rv = spawn_packet_send(caller, w.data, w.length, NULL, 0))
           == -EAGAIN)
        assert_int_equal(poll(&room, 1, DEADLINE_MS), 1);
    assert_int_equal(rv, 0);
    spawn_writer_free(&w);
}

static void waits_for_the_end(void)
{
    waits(SPAWN_REPLY_FINISHED, 0);
}

static void waits_for_the_start(void)
{
    waits(SPAWN_REPLY_STARTED, 0);
}

static void waits_three_seconds(void)
{
    waits(SPAWN_REPLY_FINISHED, 3000);
}

static void expect_state(unsigned state)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0), state);
}

static void both_expect(unsigned state)
{
    expect_state(state);
    by(BEHIND);
    expect_state(state);
    by(BEHIND);
}

/* The reports on a job are stored, a moment later. */
static void moment_passes(void)
{
    by(DOES);
    has_heard();
    time_moves(20);
    has_heard();
    by(DOES);
}

static void ends_well(unsigned attempt)
{
    attempt_ends(attempt, 0);
    moment_passes();
}

/* ---- it is revived ---- */

static void begin_it(spawn_writer *w)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};

    begin_submit(w, &job, "/bin/true");
    spawn_put_i64(w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(w, SPAWN_A_BACKOFF, second, 2);
}

static void is_submitted_again(void)
{
    spawn_writer w;

    begin_it(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
}

static void is_dead(void)
{
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    others_come();
}

static void is_revived_and(void (*who_waits)(void))
{
    spawn_writer w;

    is_dead();
    begin(&w, SPAWN_M_REVIVE, &job);
    happens(who_waits, &w);
    by(DOES);
    expect_answer(SPAWN_M_DONE);
    by(DOES);
    expect_attempt(4);
    quiet_for(1);
}

static void until_it_has_ended_again(void **state)
{
    (void)state;
    is_revived_and(waits_for_the_end);
    ends_well(4);
    both_expect(SPAWN_STATE_DONE);
}

static void so_does_who_submits_it_again(void **state)
{
    (void)state;
    is_revived_and(is_submitted_again);
    ends_well(4);
    both_expect(SPAWN_STATE_DONE);
}

static void attempt_has_started(unsigned attempt)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    send_fds(&w, NULL, 0);
    moment_passes();
}

static void until_it_has_started_again(void **state)
{
    (void)state;
    is_revived_and(waits_for_the_start);
    attempt_has_started(4);
    both_expect(SPAWN_STATE_RUNNING);
}

static void not_longer_than_they_want(void **state)
{
    (void)state;
    is_revived_and(waits_three_seconds);
    time_moves(3100);
    by(DOES);
    has_heard();
    by(DOES);
    expect_refusal(SPAWN_E_TIMED_OUT);
    by(BEHIND);
    expect_refusal(SPAWN_E_TIMED_OUT);
}

/* More than there is room for in its socket: it is asked for then. */
static void who_reads_late_waits_again(void **state)
{
    unsigned i, ended = 0;
    struct pollfd p;
    spawn_writer w;

    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    others_come();
    for (i = 0; i < WAITS; i++)
        waits_for_the_end();
    by(DOES);
    has_heard();
    fails_for_good(3);
    begin(&w, SPAWN_M_REVIVE, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    by(DOES);
    expect_attempt(4);
    p = (struct pollfd){caller, POLLIN, 0};
    for (; poll(&p, 1, 100) == 1; ended++)
        expect_state(SPAWN_STATE_DONE);
    assert_in_range(ended, 1, WAITS - 1);
    ends_well(4);
    for (; ended < WAITS; ended++)
        expect_state(SPAWN_STATE_DONE);
}

/* ---- it is submitted ---- */

static void one_that_comes_in_the_same_turn(void **state)
{
    spawn_writer w;

    (void)state;
    begins();
    others_come();
    begin_program(&w, 0, NULL, 0);
    happens(waits_for_the_end, &w);
    by(DOES);
    expect_answer(SPAWN_M_ACCEPTED);
    by(DOES);
    expect_attempt(1);
    moment_passes();
    ends_well(1);
    both_expect(SPAWN_STATE_DONE);
}

static void one_that_does_not_come_is_not_known(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    waits_for_the_end();
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_clock, all_gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(until_it_has_ended_again),
        TEST(so_does_who_submits_it_again),
        TEST(until_it_has_started_again),
        TEST(not_longer_than_they_want),
        TEST(who_reads_late_waits_again),
        TEST(one_that_comes_in_the_same_turn),
        TEST(one_that_does_not_come_is_not_known),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker waits before", tests, NULL,
                                       NULL);
}
