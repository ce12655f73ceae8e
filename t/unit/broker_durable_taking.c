/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a ledger that is read late, which are taken some at a time: durable
 * jobs are refused until all are taken, for one may be there already, and as
 * long as the scribe is in trouble. The clock of the broker stands between two
 * batches. The protocol of broker_durable.h.
 */
#include "common/spawn_process.h"

#include "t/unit/broker_durable.h"

#include <sched.h>

static spawn_id first;

static int set_up_taking(void **state)
{
    if (set_up_clock(state))
        return -1;
    log_is_kept = true;
    return 0;
}

static int tear_down_taking(void **state)
{
    let_go_of_the_lock();
    if (broker > 0)
        kill_broker();
    wait_for_the_scribe();
    return tear_down_clock(state);
}

static void submit_it(void)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
}

/* More than one batch of rows is between two jobs that the store has lost; none
 * of them is one that can be read. */
static void two_are_only_in_the_ledger(void)
{
    reach_go_and_call_in();
    a_durable_job_waits();
    first = job;
    a_durable_job_waits();
    has_heard();
    everything_is_killed();
    run_sql("DELETE FROM job");
    ledger_sql(
        "UPDATE job SET seq = 1000 WHERE seq = 2;"
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL"
        " SELECT i + 1 FROM n WHERE i < 400)"
        "INSERT INTO job (seq, id, state, attempt, submitted_at, message)"
        " SELECT i, randomblob(16), 1, 1, 1, x'00' FROM n");
}

static void the_scribe_dies(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS, cpu;
    const pid_t pid = kill_scribe();
    char state;

    while (spawn_os_state(pid, &state, &cpu) == 0 && state != 'Z') {
        assert_true(spawn_mono_ms() < until);
        (void)sched_yield();
    }
    has_heard();
    has_heard(); /* messages that came with the one before */
}

static bool is_known(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_JOB;
}

/* The scribe in whose place another one comes was in trouble. */
static void the_first_batch_is_taken(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    two_are_only_in_the_ledger();
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    time_stands();
    the_scribe_dies();
    time_moves(1100);
    has_heard();
    let_go_of_the_lock();
    while (!is_known(&first)) {
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 10);
    }
    assert_false(is_known(&job));
}

static void the_rest_is_taken(void)
{
    time_moves(2);
    has_heard();
    has_heard();
    assert_true(is_known(&job));
}

static void one_that_is_there_already_is_not_taken_twice(void **state)
{
    (void)state;
    the_first_batch_is_taken();
    submit_it();
    expect_refused_with("is not read yet");
    assert_int_equal(logged("MS0697"), 0);
    the_rest_is_taken();
    assert_int_equal(logged("MS0697"), 1);
    submit_it();
    expect_answer(SPAWN_M_ACCEPTED);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
}

static void a_trouble_meanwhile_is_not_over_with_the_last_row(void **state)
{
    (void)state;
    the_first_batch_is_taken();
    the_scribe_dies();
    the_rest_is_taken();
    assert_int_equal(logged("MS0697"), 0);
    (void)spawn_id_make(&job);
    submit_it();
    expect_refused_with("has ended");
    time_goes_on();
    wait_until_logged("MS0697", 1);
    submit_it();
    expect_answer(SPAWN_M_ACCEPTED);
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, set_up_taking, tear_down_taking)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_there_already_is_not_taken_twice),
        TEST(a_trouble_meanwhile_is_not_over_with_the_last_row),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
