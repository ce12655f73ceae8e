/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that a broker finds: after the end of all processes, and after
 * one of the machine, when the store is older than the ledger.
 */
#include "t/unit/broker_durable.h"
#include "t/unit/broker_post.h"

#include "common/spawn_rule.h"

#define MARK_AT 5 /* of a message in a slot: it is launched */

static void hour_passes(void)
{
    ledger_sql("UPDATE job SET submitted_at = submitted_at - 3600000");
}

static void one_that_waited_runs_after_a_kill(void **state)
{
    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    everything_is_killed(); /* the first one's process has gone */
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void one_that_the_store_lost_runs(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("DELETE FROM job");
    hour_passes();
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* It was accepted: nothing but its end takes it out of the ledger. */
static void one_that_the_store_does_not_take_stays(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("DELETE FROM job");
    hour_passes();
    store_fails(NO_INSERT);
    another_broker();
    wait_until_logged("MS0530", 1);
    has_heard();
    later_by(2); /* it is tried again */
    has_heard();
    quiet_for(50);
    everything_is_killed();
    run_sql("DROP TRIGGER no");
    expect_ledger("SELECT state FROM job", "1");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

static void its_delay_goes_on(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    assert_in_range(spawn_u64_or(&message, SPAWN_A_DUE_AT, 0),
                    (uint64_t)spawn_wall_ms() + 3500000,
                    (uint64_t)spawn_wall_ms() + 3600000);
}

static void one_that_had_started_is_lost(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_LOST);
    everything_is_killed();
    expect_ledger("SELECT outcome FROM job", "7");
}

/* The store has it as it was a moment before. */
static void one_that_had_started_is_not_started_again(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    the_power_was_cut("UPDATE job SET state = 1, pid = NULL");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

static void one_that_had_ended_has_its_end(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

static void one_that_had_ended_does_not_run_again(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut("UPDATE job SET state = 1, outcome = NULL");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* Its end was stored, and the ledger did not come to it. */
static void an_end_that_the_store_has_counts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, outcome = NULL");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || exit_code FROM job", "4 3");
}

/* All is killed between the two commits of an order: it was not sent. */
static void one_that_was_to_start_runs_after_a_kill(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 1;
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    everything_is_killed();
    disk[HANG_AFTER] = -1;
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    quiet_for(50);
}

static void one_that_runs_when_the_store_is_gone_runs_on(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    kill_broker();
    run_sql("DELETE FROM job");
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* The ledger forgets ends after a while, and nobody else knows of this one. */
static void one_whose_end_the_store_does_not_take_stays_open(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    kill_broker();
    run_sql("DELETE FROM job");
    store_fails(NO_INSERT);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready();
    say(SPAWN_M_GO);
    say_exited(&job, 0, 0x0300);
    call_in();
    has_heard();
    later_by(2); /* it is tried again, and not forgotten */
    has_heard();
    quiet_for(50);
    everything_is_killed();
    run_sql("DROP TRIGGER no");
    expect_ledger("SELECT state FROM job", "2");
}

static void a_retried_job_runs(void)
{
    spawn_writer w;

    begin_durable(&w);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, 1}, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
}

static void it_runs_again(unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    say_started(&job);
}

static void one_that_asked_for_it_is_tried_again(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_retried_job_runs();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    it_runs_again(2);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

static void its_attempts_are_counted_over_cuts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_retried_job_runs();
    say_exited(&job, 0, 0x0100);
    expect_id(SPAWN_M_FORGET, &job);
    it_runs_again(2);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    it_runs_again(3);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

static void what_the_history_forgot_is_not_back(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0);
    the_power_was_cut("DELETE FROM job");
    run_sql("INSERT OR REPLACE INTO meta VALUES('watermark', 1735689600000)");
    ledger_sql("UPDATE job SET id = x'0190a0b0c0d070008000000000000001'");
    another_broker();
    everything_is_killed();
    expect_sql("SELECT count(*) FROM job", "0");
    expect_ledger("SELECT count(*) FROM job", "0");
}

/* An older release forgot its history up to now, and does not know the ledger.
 * A job that waits there was never started, so that it is not among those that
 * were forgotten. */
static void one_that_waits_is_older_than_the_history(void **state)
{
    int64_t then = spawn_wall_ms() - 3600000;
    spawn_writer w;
    char sql[160];
    int i;

    (void)state;
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&job), 0);
    for (i = 0; i < 6; i++) /* its time */
        job.bytes[i] = (uint8_t)(then >> (8 * (5 - i)));
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    everything_is_killed();
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM job;"
                   " INSERT OR REPLACE INTO meta VALUES('watermark', %lld)",
                   (long long)then + 1800000);
    run_sql(sql);
    hour_passes();
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* The first broker after the boot ended before it had stored what it found. */
static void a_broker_that_ends_at_once_changes_nothing(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    the_power_was_cut("UPDATE job SET state = 1, pid = NULL");
    run_sql("CREATE TRIGGER no BEFORE UPDATE ON job"
            " WHEN NEW.state = 4 BEGIN SELECT RAISE(ABORT, 'full'); END");
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    quiet_for(50);
    everything_is_killed();
    run_sql("DROP TRIGGER no; UPDATE job SET state = 1");
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* It came back, as only the ledger knows. */
static void one_that_was_starting_starts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("UPDATE job SET state = 2, due_at = 1, due_boot = NULL");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* A broker of this boot ended before it had read the ledger: the store is of
 * this boot since then, and what it has is not. */
static void is_lost_with_the_boot(const char *sql)
{
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    everything_is_killed();
    if (sql)
        run_sql(sql);
    ledger_sql("UPDATE meta SET value = 'another boot' WHERE key = 'boot_id'");
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

static void one_that_ran_before_the_boot_is_lost(void **state)
{
    (void)state;
    is_lost_with_the_boot(NULL);
}

static void so_is_one_that_only_the_ledger_has(void **state)
{
    (void)state;
    is_lost_with_the_boot("DELETE FROM job");
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "the machine was started anew");
}

/* It was launched from there, as the slot says, by another release. */
static void one_that_a_slot_has_is_not_there_twice(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("DELETE FROM job");
    hour_passes();
    begin_post(&w, &job, "/bin/true");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    w.data[MARK_AT] = 0xff;
    put_in_slot(0, w.data, w.length);
    spawn_writer_free(&w);
    another_broker();
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* It was ordered, and waits again: that counts after a power cut. */
static void one_that_waits_after_a_kill_waits_in_the_ledger(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    ledger_sql("UPDATE job SET state = 2");
    another_broker();
    quiet_for(50);
    everything_is_killed();
    expect_ledger("SELECT state FROM job", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_waited_runs_after_a_kill),
        TEST(one_that_the_store_lost_runs),
        TEST(one_that_the_store_does_not_take_stays),
        TEST(its_delay_goes_on),
        TEST(one_that_had_started_is_lost),
        TEST(one_that_had_started_is_not_started_again),
        TEST(one_that_had_ended_has_its_end),
        TEST(one_that_had_ended_does_not_run_again),
        TEST(an_end_that_the_store_has_counts),
        TEST(one_that_was_to_start_runs_after_a_kill),
        TEST(one_that_runs_when_the_store_is_gone_runs_on),
        TEST(one_whose_end_the_store_does_not_take_stays_open),
        TEST(one_that_asked_for_it_is_tried_again),
        TEST(its_attempts_are_counted_over_cuts),
        TEST(what_the_history_forgot_is_not_back),
        TEST(one_that_waits_is_older_than_the_history),
        TEST(a_broker_that_ends_at_once_changes_nothing),
        TEST(one_that_was_starting_starts),
        TEST(one_that_ran_before_the_boot_is_lost),
        TEST(so_is_one_that_only_the_ledger_has),
        TEST(one_that_a_slot_has_is_not_there_twice),
        TEST(one_that_waits_after_a_kill_waits_in_the_ledger),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
