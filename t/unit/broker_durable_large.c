/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that are as large as a job may be are written, found again and
 * revived like others. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#define MIB (1u << 20)

static uint8_t data[SPAWN_STDIN_MAX];

static void submit_large(size_t size, uint64_t delay)
{
    spawn_writer w;

    begin_durable(&w);
    w.limit = SPAWN_SUBMIT_MAX + SPAWN_WIRE_HEADER;
    if (delay)
        spawn_put_u64(&w, SPAWN_A_DELAY, delay);
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, size);
    ask(&w);
}

static void the_next_one_is_taken(void)
{
    a_durable_job_runs();
    ends(0);
    assert_int_equal(logged("MS0696"), 0);
}

static void one_runs(size_t size)
{
    reach_go_and_call_in();
    submit_large(size, 0);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    the_next_one_is_taken();
}

static void one_of_five_megabytes_runs(void **state)
{
    (void)state;
    one_runs((size_t)5 * MIB);
}

static void one_with_as_much_data_as_may_be_runs(void **state)
{
    (void)state;
    one_runs(SPAWN_STDIN_MAX);
}

/* Only the ledger has it. */
static void it_is_found_after_a_power_cut(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_large(SPAWN_STDIN_MAX, 3600000);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DELAYED);
    the_next_one_is_taken();
}

/* Only the store has it: it is written to the ledger once more. */
static void it_is_written_to_a_ledger_that_lost_it(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_large(SPAWN_STDIN_MAX, 3600000);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    everything_is_killed();
    ledger_sql("DELETE FROM job");
    run_sql("UPDATE job SET due_at = 1, due_boot = NULL");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    the_next_one_is_taken();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_of_five_megabytes_runs),
        TEST(one_with_as_much_data_as_may_be_runs),
        TEST(it_is_found_after_a_power_cut),
        TEST(it_is_written_to_a_ledger_that_lost_it),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
