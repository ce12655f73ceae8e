/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that cannot be read any more when the ledger can be at last: no job
 * that the store may know is taken in from the ledger. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"
#include "t/unit/broker_damage.h"

#define FIRST "3001" /* its row, behind the history */

static void will_be_looked_at_whole(void)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/jobs.db.check", dir);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool is_open(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_JOB
           && spawn_u64_or(&message, SPAWN_A_STATE, 0) != SPAWN_STATE_DONE;
}

/* The second has ended, as only the store knows. The broker stays: it has
 * looked at all of the store a moment ago. */
static void what_may_have_run_is_not_taken_in_again(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_writer w;
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    make_store();
    fill_history("900");
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0);
    first = job;
    a_durable_job_waits();
    has_heard();
    the_power_was_cut(
        "UPDATE job SET state = 3, pid = 4000000, outcome = NULL,"
        " exit_code = NULL, ended_at = NULL WHERE seq = " FIRST ";"
        "UPDATE job SET state = 4, started_at = 1, ended_at = 1,"
        " outcome = 1, exit_code = 0, end_seq = 1 WHERE seq > " FIRST);
    will_be_looked_at_whole();
    hold_the_lock();
    another_broker();
    assert_int_equal(logged("MS0869"), 1);
    wait_until_logged("MS0696", 1);
    assert_true(is_open(&first));
    others_are_read();
    damage();
    let_go_of_the_lock();
    while (is_open(&first)) { /* until the ledger's row of it is read */
        assert_true(spawn_mono_ms() < until);
        (void)usleep(1000);
    }
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
}

int main(void)
{
#define DISK(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        DISK(what_may_have_run_is_not_taken_in_again),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker damaged durable", tests, NULL,
                                       NULL);
}
