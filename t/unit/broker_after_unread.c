/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that come after others, when a broker that begins cannot read which of
 * them are still open: it begins, and each waits for all that it was submitted
 * to come after.
 */
#include "t/unit/broker_ordered.h"

/* A table whose rows cannot be read before the first job has ended. */
#define UNREADABLE                                                             \
    "ALTER TABLE need RENAME TO other_need;"                                   \
    "CREATE VIEW need AS SELECT seq, CASE WHEN"                                \
    " (SELECT state FROM job WHERE seq = 1) < 4"                               \
    " THEN abs(-9223372036854775807 - 1) ELSE id END AS id FROM other_need;"   \
    "CREATE TRIGGER a INSTEAD OF INSERT ON need BEGIN SELECT 1; END;"          \
    "CREATE TRIGGER b INSTEAD OF DELETE ON need BEGIN SELECT 1; END"

/* With the first one running, and the other still waiting for it. */
static void next_broker(uint64_t when_failed, spawn_id *first, spawn_id *second)
{
    log_is_kept = true;
    reach_go_and_call_in();
    is_accepted(first);
    is_launched(first);
    next.after = first;
    next.after_count = 1;
    next.after_failed = when_failed;
    is_accepted(second);
    has_heard();
    kill_broker();
    run_sql(UNREADABLE);
    another_broker(first);
    wait_until_logged("MS0870", 1);
    nothing_is_launched();
    expect_state(second, SPAWN_STATE_QUEUED);
}

static void it_waits_for_all(void **state)
{
    spawn_id first, second;

    (void)state;
    next_broker(SPAWN_AFTER_FAILED_CANCEL, &first, &second);
    exits(&first, 0);
    is_launched(&second);
}

/* The job's own rule for a failed one is known. */
static void it_runs_also_after_one_that_failed(void **state)
{
    spawn_id first, second;

    (void)state;
    next_broker(SPAWN_AFTER_FAILED_RUN, &first, &second);
    exits(&first, 3);
    is_launched(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_waits_for_all, set_up_ordered,
                                        tear_down_ordered),
        cmocka_unit_test_setup_teardown(it_runs_also_after_one_that_failed,
                                        set_up_ordered, tear_down_ordered),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
