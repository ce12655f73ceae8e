/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job with retries is ordered again under its id: with each report of a
 * process a broker is told which attempt that is, also one that comes later,
 * and after an upgrade.
 */
#include "t/unit/spawner_look.h"

static void launch_attempt(const spawn_id *id, unsigned attempt,
                           const char *script)
{
    spawn_writer w;

    begin_order(&w, id, script);
    if (attempt)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    send_on(link_fd, &w, NULL, 0);
}

static void the_attempt_that_was_ordered_is_told(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch_attempt(&id, 3, "exit 5");
    expect_id(SPAWN_M_STARTED, &id);
    assert_int_equal(number(SPAWN_A_ATTEMPT), 3);
    expect_exit(&id, 5);
    assert_int_equal(number(SPAWN_A_ATTEMPT), 3);
}

static void of_the_first_nothing_is_told(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch_attempt(&id, 0, "exit 5");
    expect_id(SPAWN_M_STARTED, &id);
    assert_false(spawn_has(&message, SPAWN_A_ATTEMPT));
    expect_exit(&id, 5);
    assert_false(spawn_has(&message, SPAWN_A_ATTEMPT));
}

static void expect_running(const spawn_id *id, unsigned attempt)
{
    expect_id(SPAWN_M_RUNNING, id);
    assert_int_equal(number(SPAWN_A_ATTEMPT), attempt);
}

static void the_next_broker_is_told_it_too(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch_attempt(&id, 255, "exec sleep 100");
    expect_id(SPAWN_M_STARTED, &id);
    next_broker();
    expect_running(&id, 255);
}

static void an_upgrade_keeps_it(void **state)
{
    spawn_id id;

    (void)state;
    reach_ready();
    new_id(&id);
    launch_attempt(&id, 2, "exec sleep 100");
    expect_id(SPAWN_M_STARTED, &id);
    send_configure("another");
    expect_link(SPAWN_M_QUIT);
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_running(&id, 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(the_attempt_that_was_ordered_is_told),
        T(of_the_first_nothing_is_told),
        T(the_next_broker_is_told_it_too),
        T(an_upgrade_keeps_it),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_attempts", tests, NULL, NULL);
}
