/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that may be tried again: after which ends they are, and that one
 * which somebody ends is not. The protocol of broker_retried.h.
 */
#include "t/unit/broker_retried.h"

/* ---- which ends ---- */

static void tried(const uint64_t *on, uint32_t count, int status, bool again)
{
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;

    begin_program(&w, 1, none, 2);
    if (count)
        spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, count);
    is_submitted(&w);
    attempt_ends(1, status);
    if (again) {
        is_forgotten();
        expect_attempt(2);
        attempt_ends(2, 0);
    }
    is_forgotten();
    has_heard();
    quiet_for(1);
}

static void retry_on_says_after_which_ends(void **state)
{
    static const uint64_t failed[] = {SPAWN_RETRY_ON_FAILED};
    static const uint64_t lost[] = {SPAWN_RETRY_ON_LOST};
    static const uint64_t signal[] = {SPAWN_RETRY_ON_SIGNAL};
    static const uint64_t code[] = {SPAWN_RETRY_CODE + 75};

    (void)state;
    begins();
    tried(NULL, 0, EXIT(1), true);
    tried(NULL, 0, SIGSEGV, true);
    tried(NULL, 0, 0, false);
    tried(failed, 1, SIGSEGV, true);
    tried(lost, 1, EXIT(1), false);
    tried(signal, 1, EXIT(1), false);
    tried(signal, 1, SIGSEGV, true);
    tried(code, 1, EXIT(75), true);
    tried(code, 1, EXIT(74), false);
    tried(code, 1, SIGSEGV, false);
}

static void not_started_for(const uint64_t *on, uint32_t count, bool again)
{
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;

    begin_program(&w, 1, none, 2);
    if (count)
        spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, count);
    is_submitted(&w);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    expect_id(SPAWN_M_FORGET, &job);
    if (again)
        expect_attempt(2);
    else
        quiet_for(1);
}

static void a_start_that_fails_is_one_of_its_own(void **state)
{
    static const uint64_t start[] = {SPAWN_RETRY_ON_FAILED,
                                     SPAWN_RETRY_ON_START_FAILED};

    (void)state;
    begins();
    not_started_for(NULL, 0, false);
    not_started_for(start, 2, true);
}

static void a_time_out_is_one_of_its_own(void **state)
{
    static const uint64_t timeout[] = {SPAWN_RETRY_ON_TIMEOUT};
    static const uint64_t none[] = {SPAWN_BACKOFF_LIST, 0};
    spawn_writer w;
    int i;

    (void)state;
    begins();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 1, none, 2);
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, 1000);
        if (i)
            spawn_put_u64v(&w, SPAWN_A_RETRY_ON, timeout, 1);
        is_submitted(&w);
        say_started(&job);
        has_heard();
        time_moves(1100);
        has_heard();
        expect_signal(SIGTERM);
        attempt_ends(1, SIGTERM);
        is_forgotten();
    }
    expect_attempt(2);
    say_started(&job);
    has_heard();
    time_moves(900);
    has_heard();
    quiet_for(1); /* its time counts anew */
}

/* ---- who ends it ---- */

static void nothing_follows(void)
{
    has_heard();
    time_moves(100000);
    has_heard();
    quiet_for(1);
}

/* Its own exit after the signal does not count. */
static void one_that_was_killed_is_not_tried_again(void **state)
{
    (void)state;
    a_program_runs();
    say_started(&job);
    kill_it(SIGTERM);
    expect_signal(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    attempt_ends(1, EXIT(1));
    is_forgotten();
    nothing_follows();
    store_says("4 1 2 0 -");
}

/* Nor is it when other signals follow. */
static void one_that_was_killed_and_told_more_is_not_tried_again(void **state)
{
    (void)state;
    a_program_runs();
    say_started(&job);
    kill_it(SIGTERM);
    expect_signal(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    kill_it(SIGUSR1);
    expect_signal(SIGUSR1);
    expect_answer(SPAWN_M_DONE);
    attempt_ends(1, EXIT(1));
    is_forgotten();
    nothing_follows();
    store_says("4 1 2 0 -");
}

static void one_that_waits_can_be_killed(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    nothing_follows();
    store_says("4 2 1 0 1:1:3");
}

/* Its end has come, and is judged when it is stored, a moment later. */
static void one_that_has_just_failed_can_be_killed(void **state)
{
    (void)state;
    a_program_runs();
    attempt_ends(1, EXIT(3));
    has_heard();
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_FORGET, &job);
    nothing_follows();
    store_says("4 1 2 0 -");
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(retry_on_says_after_which_ends),
        ALONE(a_start_that_fails_is_one_of_its_own),
        ALONE(a_time_out_is_one_of_its_own),
        ALONE(one_that_was_killed_is_not_tried_again),
        ALONE(one_that_was_killed_and_told_more_is_not_tried_again),
        ALONE(one_that_waits_can_be_killed),
        ALONE(one_that_has_just_failed_can_be_killed),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry ends", tests, NULL, NULL);
}
