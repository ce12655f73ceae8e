/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger is removed while no broker is there, and durable jobs wait in the
 * store: another ledger takes them before they start. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"

static void the_ledger_is_removed(void)
{
    static const char *const names[] = {"durable-1.db", "durable-1.db-wal",
                                        "durable-1.db-shm"};
    char path[96];
    size_t i;

    wait_for_the_scribe();
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
}

static void one_is_written_again_before_it_starts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    the_ledger_is_removed();
    run_sql("UPDATE job SET due_at = 1, due_boot = NULL");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || chosen FROM job", "2 1");
}

/* An older release did not note that there is a ledger. */
static void so_is_one_of_an_older_release(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("DELETE FROM meta WHERE key = 'ledger_was'");
    another_broker();
    has_heard();
    everything_is_killed();
    the_ledger_is_removed();
    run_sql("UPDATE job SET due_at = 1, due_boot = NULL");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* jobs.db is not synced: a power cut would make it forget one that waits for
 * long. */
static void one_that_waits_for_long_is_written_at_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    the_ledger_is_removed();
    another_broker();
    has_heard();           /* a turn has passed */
    a_durable_job_waits(); /* it is written after what was sent before */
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "2");
}

/* It was to start when its broker was killed, and the spawner has not heard of
 * it: so it waits again. */
static void so_is_one_whose_order_was_not_heard(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    has_heard();
    kill_broker();
    the_ledger_is_removed();
    start_broker();
    expect_ready();
    call_in();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    a_durable_job_waits();
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job WHERE state = 1", "2");
}

/* One that had started has nothing that is to be written before. */
static void one_that_had_started_is_lost(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    everything_is_killed();
    the_ledger_is_removed();
    another_broker();
    expect_outcome(SPAWN_OUTCOME_LOST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_is_written_again_before_it_starts),
        TEST(so_is_one_of_an_older_release),
        TEST(one_that_waits_for_long_is_written_at_once),
        TEST(so_is_one_whose_order_was_not_heard),
        TEST(one_that_had_started_is_lost),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
