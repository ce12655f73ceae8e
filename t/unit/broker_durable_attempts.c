/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts of durable jobs, and how they ended, when that stands in the ledger
 * alone or the ledger is read late: each is told as it was, once, and who has
 * attempts left is tried again. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable_tried.h"

#include "common/spawn_rule.h"

/* As the store was before it heard of the end of that attempt, or of the end
 * of the job. */
#define RUNS_STILL                                                             \
    "UPDATE job SET state = 3, pid = 4000000, outcome = NULL,"                 \
    " exit_code = NULL, ended_at = NULL"
#define RUNS_FIRST_STILL RUNS_STILL ", attempt = 1, retries = 2"

/* ---- an end that the ledger has ---- */

static void expect_second_attempt(void)
{
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), 2);
}

static void the_second_one_ends_well(void)
{
    spawn_writer w;

    reach_go_and_call_in();
    one_waits_for_another_attempt(1, NULL);
    it_starts(2);
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, 2);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
}

static void the_attempt_is_told_that_ended(void **state)
{
    (void)state;
    the_second_one_ends_well();
    the_power_was_cut(RUNS_FIRST_STILL);
    another_broker();
    expect_second_attempt();
}

static void so_it_is_when_the_ledger_is_read_late(void **state)
{
    (void)state;
    the_second_one_ends_well();
    the_power_was_cut(RUNS_FIRST_STILL);
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_second_attempt();
}

/* By the broker that heard of it. */
static void an_end_is_logged_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    wait_until_logged("MS0682", 1);
    the_power_was_cut(RUNS_STILL);
    another_broker();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    has_heard();
    assert_int_equal(logged("MS0682"), 1);
}

/* ---- the ledger is read late, within a boot ---- */

/* The next broker of the same spawner is told of it. */
static void the_next_one_finds_it_running(void)
{
    spawn_writer w;

    hold_the_lock();
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready_without_the_ledger();
    say(SPAWN_M_GO);
    call_in();
    wait_until_logged("MS0696", 1);
}

static void one_runs_that_has_retries(uint64_t pause)
{
    spawn_writer w;

    reach_go_and_call_in();
    begin_retried(&w, pause);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    it_starts(1);
    has_heard();
}

/* Its order never came to the spawner, which says nothing of it. */
static void one_that_was_not_started_starts_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    has_heard();
    kill_broker();
    expect_sql("SELECT state FROM job", "2");
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* Its order had come to a spawner that has gone. */
static void one_that_was_starting_has_the_end_of_the_ledger(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    a_durable_job_runs();
    say_exited(&job, 0, 0x0300);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    run_sql("DROP TRIGGER no; UPDATE job SET state = 2, pid = NULL");
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* And the ledger hears of that. */
static void one_that_runs_and_fails_then_is_tried_again(void **state)
{
    (void)state;
    one_runs_that_has_retries(HOUR);
    kill_broker();
    the_next_one_finds_it_running();
    the_lock_is_free();
    it_fails();
    expect_pause();
    everything_is_killed();
    wait_for_the_scribe();
    expect_ledger(ATTEMPT_AND_PAUSE, "1 2 1");
}

static void one_that_runs_and_fails_meanwhile_is_tried_again(void **state)
{
    (void)state;
    one_runs_that_has_retries(1);
    kill_broker();
    the_next_one_finds_it_running();
    it_fails();
    the_lock_is_free();
    it_starts(2);
}

/* The release before this one did not, which had no ledger. So the ledger is
 * not known to be of this boot; but what the spawner tells of is. */
static void no_broker_of_this_boot_has_read_it(void)
{
    kill_broker();
    wait_for_the_scribe();
    run_sql("UPDATE meta SET value = 'another boot'"
            " WHERE key = 'ledger_boot'");
}

static void so_is_one_when_no_broker_of_the_boot_has_read_it(void **state)
{
    (void)state;
    one_runs_that_has_retries(1);
    no_broker_of_this_boot_has_read_it();
    the_next_one_finds_it_running();
    the_lock_is_free();
    it_fails();
    it_starts(2);
}

static void so_is_one_that_fails_before_it_is_read(void **state)
{
    (void)state;
    one_runs_that_has_retries(1);
    no_broker_of_this_boot_has_read_it();
    the_next_one_finds_it_running();
    it_fails();
    the_lock_is_free();
    it_starts(2);
}

static void so_is_one_that_it_does_not_have(void **state)
{
    (void)state;
    one_runs_that_has_retries(1);
    no_broker_of_this_boot_has_read_it();
    ledger_sql("DELETE FROM job");
    the_next_one_finds_it_running();
    the_lock_is_free();
    it_fails();
    it_starts(2);
}

/* Neither the ledger nor anybody else has its end. */
static void nobody_has_its_end(void)
{
    everything_is_killed();
    run_sql("UPDATE job SET state = 3, pid = 4000000, started_at = 1000");
    hold_the_lock();
    another_broker();
    it_is_read();
}

static void one_that_is_lost_is_tried_again(void **state)
{
    (void)state;
    one_runs_that_has_retries(1);
    nobody_has_its_end();
    it_starts(2);
}

/* The ledger must not have that it has ended: when the store loses what it
 * became it is tried again all the same. */
static void so_it_is_when_the_store_loses_that(void **state)
{
    (void)state;
    one_runs_that_has_retries(HOUR);
    nobody_has_its_end();
    expect_pause();
    the_power_was_cut(RUNS_FIRST_STILL ", due_at = NULL, due_boot = NULL");
    another_broker();
    expect_pause();
}

static void what_a_lost_one_wrote_is_told_to_be_lost(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    has_heard();
    everything_is_killed();
    run_sql("UPDATE job SET state = 3, pid = 4000000, started_at = 1000");
    hold_the_lock();
    another_broker();
    it_is_read();
    expect_outcome(SPAWN_OUTCOME_ENDED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "it ended when neither its spawner nor a broker was "
                        "there; what it wrote is lost");
}

#define WAITS_STILL                                                            \
    "UPDATE job SET state = 1, outcome = NULL, ended_at = NULL, text = NULL,"  \
    " cancel = 0, end_seq = 0"

/* The ledger had not come to the attempt that it was to have. */
static void one_that_was_killed_before_it_is_read_has_ended(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    everything_is_killed();
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    hold_the_lock();
    another_broker();
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    the_lock_is_free();
    the_power_was_cut(WAITS_STILL);
    expect_ledger("SELECT state || ' ' || attempt FROM job", "4 2");
    another_broker();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* Its key was that of who waits for a first attempt. */
static void what_it_gave_up_it_does_not_claim_again(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_retried(&w, 3600000);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_WAITING);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    it_starts(1);
    ends(0x0100);
    has_heard();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), 2);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_attempt_is_told_that_ended),
        TEST(so_it_is_when_the_ledger_is_read_late),
        TEST(an_end_is_logged_once),
        TEST(what_it_gave_up_it_does_not_claim_again),
        TEST(one_that_was_not_started_starts_then),
        TEST(one_that_was_starting_has_the_end_of_the_ledger),
        TEST(one_that_runs_and_fails_then_is_tried_again),
        TEST(one_that_runs_and_fails_meanwhile_is_tried_again),
        TEST(so_is_one_when_no_broker_of_the_boot_has_read_it),
        TEST(so_is_one_that_fails_before_it_is_read),
        TEST(so_is_one_that_it_does_not_have),
        TEST(one_that_is_lost_is_tried_again),
        TEST(so_it_is_when_the_store_loses_that),
        TEST(what_a_lost_one_wrote_is_told_to_be_lost),
        TEST(one_that_was_killed_before_it_is_read_has_ended),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
