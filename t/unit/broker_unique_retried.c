/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique keys of jobs that are tried again, or revived: who has a key through a
 * pause, and after it; and the same for a broker that comes after a killed one.
 * The protocol of broker_ordered.h.
 */
#include "t/unit/corner.h"
#include "t/unit/broker_ordered.h"

static spawn_id first, second, third;

static void a_key_is_kept_between_attempts(uint64_t unique_for)
{
    reach_go_and_call_in();
    next.unique_for = unique_for;
    next.key = "k";
    next.retry = 1;
    next.pause = 60000;
    is_accepted(&first);
    expect_id(SPAWN_M_LAUNCH, &first);
    attempt_exits(&first, 1, SPAWN_STEP_EXEC, ENOENT);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    kill_broker();
    another_broker(NULL);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
    time_passes(61);
    attempt_is_launched(&first, 2);
}

static void a_key_is_had_through_the_pause(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    a_key_is_kept_between_attempts(SPAWN_UNIQUE_ENDED);
    is_there();
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
}

/* It has not started as long as it could not be started. */
static void also_one_that_is_had_until_the_start(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    a_key_is_kept_between_attempts(SPAWN_UNIQUE_WAITING);
    is_there();
    is_accepted(&second);
}

/* It ran, so another one may wait, whoever knows of that. */
static void one_that_has_run_does_not_wait_for_its_key(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    reach_go_and_call_in();
    next.unique_for = SPAWN_UNIQUE_WAITING;
    next.key = "k";
    next.retry = 1;
    next.pause = 60000;
    is_accepted(&first);
    is_launched(&first);
    attempt_exits(&first, 1, 0, 3);
    is_there();
    next.retry = 0;
    next.delay = 90000;
    is_accepted(&second);
    next.delay = 0;
    kill_broker();
    another_broker(NULL);
    time_passes(61);
    attempt_is_launched(&first, 2);
    send_it(&third);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&second);
}

/* Also when nobody saw that it ran. */
static void nor_does_one_whose_end_the_next_broker_hears(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    reach_go_and_call_in();
    next.unique_for = SPAWN_UNIQUE_WAITING;
    next.key = "k";
    next.retry = 1;
    next.pause = 60000;
    is_accepted(&first);
    is_launched(&first);
    is_there();
    next.retry = 0;
    is_accepted(&second);
    is_launched(&second);
    is_there();
    next.delay = 200000;
    is_accepted(&third);
    kill_broker();
    start_broker();
    say_running(&second);
    say_running(&first);
    say_exited(&first, 0, 3 << 8);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &first);
    say(SPAWN_M_GO);
    call_in();
    next.delay = 0;
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&third);
}

static void one_that_is_revived_waits_for_its_key(void **state)
{
    (void)state;
    reach_go_and_call_in();
    next.key = "k";
    it_dies(&first);
    is_accepted(&second);
    is_launched(&second);
    revive(&first);
    expect_answer(SPAWN_M_DONE);
    nothing_is_launched();
    kill_broker();
    another_broker(&second);
    nothing_is_launched();
    expect_state(&first, SPAWN_STATE_QUEUED);
    exits(&second, 0);
    attempt_is_launched(&first, 3);
}

/* The time counts from the submit. */
static void the_time_of_one_that_is_revived_is_over(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    next.key = "k";
    it_dies(&first);
    time_passes(61);
    revive(&first);
    expect_answer(SPAWN_M_DONE);
    attempt_is_launched(&first, 3);
    attempt_exits(&first, 3, 0, 0);
    is_there();
    is_accepted(&second);
}

/* It had it, so it goes before those that wait for it; and it has it again when
 * it has ended, until the same time. */
static void one_that_is_revived_has_its_key_still(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    next.key = "k";
    it_dies(&first);
    next.conflict = SPAWN_CONFLICT_AFTER;
    is_accepted(&second);
    revive(&first);
    expect_answer(SPAWN_M_DONE);
    attempt_is_launched(&first, 3);
    attempt_exits(&first, 3, 0, 0);
    nothing_is_launched();
    kill_broker();
    another_broker(NULL);
    nothing_is_launched();
    time_passes(61);
    is_launched(&second);
}

/* It ended without another start. */
static void one_that_is_revived_in_vain_has_no_key(void **state)
{
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    next.unique_for = 60000;
    reach_go_and_call_in();
    next.key = "k";
    it_dies(&first);
    next.key = "l";
    is_accepted(&third);
    is_launched(&third);
    revive(&first);
    expect_answer(SPAWN_M_DONE);
    expect_state(&first, SPAWN_STATE_QUEUED);
    begin(&w, SPAWN_M_KILL, &first);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    is_there();
    kill_broker();
    another_broker(&third);
    next.key = "k";
    is_accepted(&second);
}

/* The store does not take that: so the key stays with the one that has ended.
 */
static void one_that_stays_dead_keeps_its_key(void **state)
{
    (void)state;
    make_store();
    store_fails("BEFORE UPDATE ON job WHEN NEW.attempt = 3");
    reach_go_and_call_in();
    next.unique_for = 60000;
    next.key = "k";
    it_dies(&first);
    revive(&first);
    expect_refusal(SPAWN_E_STORE);
    send_it(&second);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    text_has_id(&first);
}

/* The boot before this one had another clock. */
static void a_boot_does_not_change_the_time_of_a_dead_one(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(),
                 "the clock of a sanitized broker cannot be set");
    next.unique_for = 60000;
    reach_go_and_call_in();
    next.key = "k";
    it_dies(&first);
    kill_broker();
    run_sql("UPDATE meta SET value = '00000000-0000-0000-0000-000000000000'"
            " WHERE key = 'boot_id'");
    another_broker(NULL);
    is_there();
    kill_broker();
    expect_sql("SELECT count(*) FROM job WHERE unique_boot NOT NULL", "0");
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up_ordered, tear_down_ordered)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_had_through_the_pause),
        TEST(also_one_that_is_had_until_the_start),
        TEST(one_that_has_run_does_not_wait_for_its_key),
        TEST(nor_does_one_whose_end_the_next_broker_hears),
        TEST(one_that_is_revived_waits_for_its_key),
        TEST(the_time_of_one_that_is_revived_is_over),
        TEST(one_that_is_revived_has_its_key_still),
        TEST(one_that_is_revived_in_vain_has_no_key),
        TEST(one_that_stays_dead_keeps_its_key),
        TEST(a_boot_does_not_change_the_time_of_a_dead_one),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
