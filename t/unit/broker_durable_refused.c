/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs while jobs.db does not take what becomes of them: neither
 * jobs.db nor the ledger says something of them that the other one does not
 * know. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#define TAKES_NO_END                                                           \
    "CREATE TRIGGER refuses BEFORE UPDATE OF state ON job"                     \
    " WHEN NEW.state = 4 BEGIN SELECT RAISE(ABORT, 'by a test'); END"
#define TAKES_ALL "DROP TRIGGER refuses"
#define IS_DUE    "UPDATE job SET due_at = 1, due_boot = NULL"

static void store_changes(const char *sql)
{
    kill_broker();
    wait_for_the_scribe();
    run_sql(sql);
    another_broker();
}

/* That it was killed is refused, so it waits still. */
static void one_that_was_killed_in_vain_starts_as_a_durable_one(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    store_changes(TAKES_NO_END);
    kill_it(0);
    expect_answer(SPAWN_M_REFUSED);
    has_heard();
    store_changes(TAKES_ALL ";" IS_DUE);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT state FROM job", "2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_killed_in_vain_starts_as_a_durable_one),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
