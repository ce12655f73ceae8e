/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that its worker has noted and not begun is not told with the result of
 * the call before it, which may still be on the board. This program plays
 * spawner, template, worker and caller.
 */
#include "t/unit/broker_leased.h"

/* The call before it, and its own. */
static spawn_id before, id;

/* Its caller goes, and the broker has looked. */
static void is_noted(worker *w)
{
    reach_lent(w);
    begins(&before, NULL);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    notes(&id, NULL);
    says_lost(&w->id);
    expect_take_back(w);
    is_there();
    spawn_slate_withdraw(slate);
}

static void by_the_next_broker(void **state)
{
    worker w;

    (void)state;
    is_noted(&w);
    kill_broker();
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(&w);
    gives_back(&w, &before);
    call_in();
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "its caller had gone, and it was not begun");
}

static void when_its_worker_has_gone(void **state)
{
    worker w, next;

    (void)state;
    is_noted(&w);
    (void)close(w.link);
    say_exited(&w.id, 0, SIGKILL);
    worker_starts(&next);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNAL, 0), SIGKILL);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_NONE);
    assert_false(spawn_has(&message, SPAWN_A_RESULT));
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(by_the_next_broker),
        ALONE(when_its_worker_has_gone),
    };

    find_broker();
    return cmocka_run_group_tests_name("leases_noted", tests, NULL, NULL);
}
