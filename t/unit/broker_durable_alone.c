/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of durable jobs that the ledger alone has, since the store did not take
 * them: a broker after that one believes the ledger, also within a boot. The
 * protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_retry.h"

#define ALONE                                                                  \
    "SELECT outcome || ' ' || exit_code || ' ' || ifnull(alone, 0)"            \
    " FROM job"
#define EXITED_3_ALONE  "1 3 1"
#define EXITED_3_STORED "1 3 0"

static void the_store_does_not_take_the_end(void)
{
    say_exited(&job, 0, 0x0300);
    wait_until_logged("MS0530", 1);
    has_heard();
}

/* Until then the ledger is the only one that has it. */
static void all_are_killed_then(void)
{
    everything_is_killed();
    expect_ledger(ALONE, EXITED_3_ALONE);
    run_sql("DROP TRIGGER no");
}

static void expect_exited_3(void)
{
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 3);
}

static void it_has_ended_as_the_ledger_says(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    a_durable_job_runs();
    the_store_does_not_take_the_end();
    all_are_killed_then();
    another_broker();
    expect_exited_3();
    everything_is_killed();
    expect_ledger(ALONE, EXITED_3_STORED);
}

static void it_is_not_tried_again_as_lost(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON,
                   (const uint64_t[]){SPAWN_RETRY_ON_LOST}, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    the_store_does_not_take_the_end();
    all_are_killed_then();
    another_broker();
    expect_exited_3();
}

/* It tells all of it, and is told to forget it. */
static void a_spawner_that_has_it_is_believed(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    a_durable_job_runs();
    the_store_does_not_take_the_end();
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    say_exited(&job, 0, 0x0300);
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    call_in();
    expect_exited_3();
    everything_is_killed();
    expect_ledger(ALONE, EXITED_3_STORED);
}

static void the_store_takes_it_at_last(void **state)
{
    char when[120];

    (void)state;
    (void)snprintf(when, sizeof(when),
                   NO_END " AND strftime('%%s', 'now') + 0 < %lld",
                   (long long)spawn_wall_ms() / 1000 + 4);
    make_store_that_fails(when);
    reach_go_and_call_in();
    a_durable_job_runs();
    the_store_does_not_take_the_end();
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    everything_is_killed();
    expect_ledger(ALONE, EXITED_3_STORED);
}

/* A broker ended when the store had an end, and the ledger another one: that
 * had come from a broker before it, and was not in the store. */
static void an_end_that_the_store_has_is_written_over_it(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    everything_is_killed();
    ledger_sql("UPDATE job SET outcome = 7, exit_code = 0, alone = 1");
    another_broker();
    expect_exited_3();
    everything_is_killed();
    expect_ledger(ALONE, EXITED_3_STORED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_has_ended_as_the_ledger_says),
        TEST(it_is_not_tried_again_as_lost),
        TEST(a_spawner_that_has_it_is_believed),
        TEST(the_store_takes_it_at_last),
        TEST(an_end_that_the_store_has_is_written_over_it),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
