/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs that somebody pauses, resumes, runs by hand or asks for. The
 * protocol of broker_recurring.h.
 */
#include "t/unit/broker_recurring.h"

static void it_is_paused_until_it_is_resumed(void **state)
{
    (void)state;
    one("0 * * * *", SPAWN_CATCH_UP_ALL, false);
    it_is("2027-01-01 12:30:00");
    starts();
    do_cron(SPAWN_CRON_PAUSE);
    later_by(3600);
    no_run();
    is_stopped();
    starts();
    assert_true(is_in_log("MS0882"));
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_true(spawn_has(&message, SPAWN_A_CRON_PAUSED));
    assert_false(spawn_has(&message, SPAWN_A_CRON_NEXT));
    expect_end_of_rows();
    no_run();
    do_cron(SPAWN_CRON_RESUME);
    no_run(); /* what was planned meanwhile is left out */
    later_by(1800);
    expect_run("2027-01-01 14:00:00");
    it_ends(0);
}

static void it_can_be_run_by_hand(void **state)
{
    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    it_is("2027-01-01 12:30:00");
    starts();
    (void)spawn_id_make(&run);
    ask_cron(SPAWN_CRON_RUN, &run);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &run);
    ask_cron(SPAWN_CRON_RUN, &run); /* sent again: the same one */
    expect_answer(SPAWN_M_ACCEPTED);
    {
        spawn_id other;

        (void)spawn_id_make(&other);
        ask_cron(SPAWN_CRON_RUN, &other);
        expect_refusal(SPAWN_E_CONFLICT);
    }
    say_started(&run);
    later_by(1830);
    no_run(); /* nor a planned one beside it */
    say_exited(&run, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &run);
    ask_cron(SPAWN_CRON_LIST, NULL);
    expect_answer(SPAWN_M_CRON_ENTRY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_EXIT_CODE]), 3);
    assert_false(spawn_has(&message, SPAWN_A_CRON_PLANNED));
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CRON_NEXT]),
                     1798894800000); /* tomorrow, 13:00 */
    expect_end_of_rows();
}

static void who_asks_for_another_is_told_which_there_are(void **state)
{
    spawn_writer w;

    (void)state;
    one("0 13 * * *", SPAWN_CATCH_UP_NONE, false);
    starts();
    begin(&w, SPAWN_M_CRON, NULL);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, SPAWN_CRON_PAUSE);
    spawn_put_str(&w, SPAWN_A_CRON, "that");
    ask(&w);
    expect_refusal(SPAWN_E_INVALID);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "configured: it"));
    ask_cron(SPAWN_CRON_RUN, NULL);
    expect_refusal(SPAWN_E_INVALID);
    ask_cron(9, NULL);
    expect_refusal(SPAWN_E_INVALID);
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(it_is_paused_until_it_is_resumed),
        ALONE(it_can_be_run_by_hand),
        ALONE(who_asks_for_another_is_told_which_there_are),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests_name("broker cron asked", tests, NULL, NULL);
}
