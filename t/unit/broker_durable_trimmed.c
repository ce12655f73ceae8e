/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the ledger forgets an end: not before the store has had it for two
 * minutes. The store is not synced, so that a power cut may cost what it was
 * given last, whenever that job ended. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#define LOST "DELETE FROM job"
#define ROWS "SELECT count(*) FROM job"

static void one_has_ended(void)
{
    a_durable_job_runs();
    ends(0x0300);
}

/* The one that was submitted last has ended first, and all long ago. */
static void two_have_ended_and_the_store_lost_them(void)
{
    reach_go_and_call_in();
    one_has_ended();
    one_has_ended();
    the_power_was_cut(LOST);
    ledger_sql("UPDATE job SET ended_at = 1700000009000 - 1000 * seq");
}

static void expect_exited_3(void)
{
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
}

static void the_power_is_cut_again_after(int seconds)
{
    if (seconds > 0)
        later_by(seconds);
    has_heard();
    quiet_for(50);
    the_power_was_cut(LOST);
}

static void not_when_the_store_just_has_it(void **state)
{
    (void)state;
    two_have_ended_and_the_store_lost_them();
    another_broker();
    expect_exited_3();
    the_power_is_cut_again_after(20); /* the history is looked through */
    expect_ledger(ROWS, "2");
    another_broker();
    expect_exited_3();
}

static void not_while_the_store_does_not_take_it(void **state)
{
    (void)state;
    two_have_ended_and_the_store_lost_them();
    store_fails(NO_INSERT);
    another_broker();
    wait_until_logged("MS0530", 1);
    the_power_is_cut_again_after(300);
    run_sql("DROP TRIGGER no");
    expect_ledger(ROWS, "2");
    another_broker();
    expect_exited_3();
}

/* It looks through them as it begins, too. */
static void not_by_a_broker_that_has_just_begun(void **state)
{
    (void)state;
    two_have_ended_and_the_store_lost_them();
    another_broker();
    has_heard();
    kill_broker();
    wait_for_the_scribe();
    another_broker();
    the_power_is_cut_again_after(0);
    expect_ledger(ROWS, "2");
}

static void when_the_store_has_had_it_for_long(void **state)
{
    (void)state;
    two_have_ended_and_the_store_lost_them();
    another_broker();
    has_heard();
    later_by(121);
    has_heard();
    quiet_for(50);
    everything_is_killed();
    wait_for_the_scribe();
    expect_ledger(ROWS, "1"); /* the store's oldest one, and younger ones */
}

/* The clock was ahead then: all that ended later seems older than the store's
 * oldest end. */
static void one_has_ended_tomorrow(void)
{
    spawn_writer w;

    a_durable_job_runs();
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, (uint64_t)spawn_wall_ms() + 86400000);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

static void not_when_the_store_just_took_what_the_ledger_alone_had(void **state)
{
    const long long now = spawn_wall_ms() / 1000;
    char when[160];

    (void)state;
    (void)snprintf(when, sizeof(when),
                   NO_END " AND strftime('%%s', 'now') + 0 BETWEEN %lld AND "
                          "%lld",
                   now + 200, now + 500);
    make_store_that_fails(when);
    reach_go_and_call_in();
    one_has_ended_tomorrow();
    later_by(220);
    a_durable_job_runs();
    say_exited(&job, 0, 0x0300);
    wait_until_logged("MS0530", 1);
    later_by(301);
    expect_id(SPAWN_M_FORGET, &job);
    the_power_is_cut_again_after(20);
    expect_ledger(ROWS, "2");
    another_broker();
    expect_exited_3();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(not_when_the_store_just_has_it),
        TEST(not_while_the_store_does_not_take_it),
        TEST(not_by_a_broker_that_has_just_begun),
        TEST(when_the_store_has_had_it_for_long),
        TEST(not_when_the_store_just_took_what_the_ledger_alone_had),
    };

    if (no_clocks())
        return 0;
    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
