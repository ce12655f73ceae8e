/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs while the ledger cannot be read, which another scribe has locked
 * still: nothing is decided of what only the ledger may know. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"
#include "t/unit/broker_post.h"

#include "common/spawn_retry.h"
#include "common/spawn_rule.h"

/* A broker that has lost the job from its store, and finds it running. */
static void one_runs_that_the_store_lost(void)
{
    spawn_writer w;

    reach_go_and_call_in();
    a_durable_job_runs();
    kill_broker();
    run_sql("DELETE FROM job");
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
    has_heard();
    assert_int_equal(logged("MS0585"), 0);
}

static void one_that_runs_runs_on(void **state)
{
    (void)state;
    one_runs_that_the_store_lost();
    the_lock_is_free();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
    ends(0x0300);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

static void one_that_ends_meanwhile_has_its_end(void **state)
{
    (void)state;
    one_runs_that_the_store_lost();
    say_exited(&job, 0, 0x0300);
    has_heard();
    quiet_for(50); /* it is not forgotten */
    the_lock_is_free();
    expect_id(SPAWN_M_FORGET, &job);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* One that not even the ledger has is let go, and told of. */
static void one_that_nobody_knows_is_told(void **state)
{
    spawn_id known;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    known = job;
    kill_broker();
    (void)spawn_id_make(&job);
    hold_the_lock();
    start_broker();
    say_exited(&job, 0, 0);
    expect_ready_without_the_ledger();
    say(SPAWN_M_GO);
    call_in();
    wait_until_logged("MS0696", 1);
    has_heard();
    quiet_for(50);
    the_lock_is_free();
    expect_id(SPAWN_M_FORGET, &job);
    job = known;
    look();
}

static void submit_after(const spawn_id *id)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, id, sizeof(*id));
    ask(&w);
}

static void one_that_comes_after_another_waits(void **state)
{
    spawn_id first, second;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    first = job;
    submit_after(&first);
    expect_answer(SPAWN_M_ACCEPTED);
    second = job;
    has_heard();
    kill_broker();
    run_sql("DELETE FROM job WHERE seq = 1");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    submit_after(&first);
    expect_answer(SPAWN_M_REFUSED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
    the_lock_is_free();
    submit_after(&first);
    expect_answer(SPAWN_M_ACCEPTED);
    job = second;
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
}

static bool is_known(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_JOB;
}

/* Nobody would submit it again. */
static void one_that_is_posted_waits_in_the_inbox(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_id first;
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    a_durable_job_waits();
    first = job;
    kill_broker();
    run_sql("DELETE FROM job");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    send_post(&w);
    has_heard();
    assert_int_equal(logged("MS0560"), 0);
    the_lock_is_free();
    while (!is_known()) {
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
}

static void drain(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_DRAIN);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    assert_int_equal(message.header.type, SPAWN_M_QUEUE_STATE);
    while (message.header.type == SPAWN_M_QUEUE_STATE)
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
}

/* A broker that found it in the inbox tries it again: it was taken once,
 * whatever its queue takes since. */
static void so_it_does_when_another_broker_found_it_there(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_id first;
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    a_durable_job_waits();
    first = job;
    kill_broker();
    run_sql("DELETE FROM job");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    send_post(&w);
    has_heard();
    drain();
    kill_broker();
    another_broker();
    wait_until_logged("MS0696", 2);
    has_heard();
    the_lock_is_free();
    while (!is_known()) {
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    assert_int_equal(logged("MS0560"), 0);
}

/* The ledger does not know the other one either. */
static void one_that_comes_after_nobody_is_cancelled(void **state)
{
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    first = job;
    submit_after(&first);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    everything_is_killed();
    run_sql("DELETE FROM job WHERE seq = 1");
    ledger_sql("DELETE FROM job");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    the_lock_is_free();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* As the store was before it heard of the end. */
#define STARTED_STILL                                                          \
    "UPDATE job SET state = 3, pid = 4000000, outcome = NULL,"                 \
    " exit_code = NULL, ended_at = NULL"

static void power_comes_back(void)
{
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    look();
    assert_int_not_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
    quiet_for(50);
    the_lock_is_free();
    quiet_for(50);
}

static void one_that_had_ended_has_its_end(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut(STARTED_STILL);
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

static void one_that_had_begun_is_lost(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    the_power_was_cut(STARTED_STILL);
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* The ledger has nothing of it. */
static void so_is_one_that_the_store_alone_has(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    the_power_was_cut(STARTED_STILL);
    ledger_sql("DELETE FROM job");
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_LOST);
}

/* A broker of this boot has ended before it could read the ledger. */
static void the_next_broker_of_the_boot_waits_too(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut(STARTED_STILL);
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    everything_is_killed();
    another_broker();
    wait_until_logged("MS0696", 2);
    look();
    assert_int_not_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
    the_lock_is_free();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* The row in jobs.db does not count yet: the ledger may have its end. */
static void none_ends_before_that_is_known(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut("UPDATE job SET state = 1, pid = NULL, outcome = NULL,"
                      " exit_code = NULL, ended_at = NULL, expires_at = 1");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    kill_it(0);
    expect_refused_with("cannot be read now");
    has_heard();
    look();
    assert_int_not_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
    the_lock_is_free();
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* One that was to be killed when the power was cut: how it ended the ledger
 * knows. */
static void one_that_was_to_be_killed_has_its_end(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut(STARTED_STILL ", cancel = 15");
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* So does it when jobs.db is older than its start. */
static void so_has_one_that_the_store_has_waiting(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    the_power_was_cut("UPDATE job SET state = 1, pid = NULL, outcome = NULL,"
                      " exit_code = NULL, ended_at = NULL, cancel = 15");
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

static void one_that_waited_and_was_cancelled_ends_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut("UPDATE job SET cancel = 15");
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* And what starts once the ledger was read is of this boot. */
static void what_started_since_runs_on(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    the_power_was_cut(NULL);
    another_broker();
    a_durable_job_runs();
    has_heard();
    kill_broker();
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
    the_lock_is_free();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* The store has that it waits, which counts within a boot: all were killed
 * before it was launched. */
static void one_that_was_to_start_waits_on(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    ledger_sql("UPDATE job SET state = 2");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    the_lock_is_free();
    quiet_for(50);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    everything_is_killed(); /* after a power cut it would be lost otherwise */
    expect_ledger("SELECT state FROM job", "1");
}

/* ---- within a boot ---- */

static void not_decided_until_the_ledger_is_read(void)
{
    run_sql("UPDATE job SET state = 3, pid = 4000000, started_at = 1000");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    kill_it(0);
    expect_refused_with("cannot be read now");
    look();
    assert_int_not_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
    quiet_for(50);
    everything_is_killed(); /* it has begun, for the next broker too */
    expect_sql("SELECT state FROM job", "3");
    another_broker();
    wait_until_logged("MS0696", 2);
    the_lock_is_free();
}

/* The store did not take it, and its spawner has gone. */
static void one_whose_end_only_the_ledger_has_has_that(void **state)
{
    (void)state;
    make_store_that_fails(NO_END);
    reach_go_and_call_in();
    a_durable_job_runs();
    say_exited(&job, 0, 0x0300);
    wait_until_logged("MS0530", 1);
    has_heard();
    everything_is_killed();
    run_sql("DROP TRIGGER no");
    not_decided_until_the_ledger_is_read();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

static void one_whose_end_nobody_has_is_told_then(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    everything_is_killed();
    not_decided_until_the_ledger_is_read();
    expect_outcome(SPAWN_OUTCOME_ENDED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "it ended when neither its spawner nor a broker was "
                        "there");
}

/* Not even the ledger knows it. */
static void so_is_one_that_the_ledger_lost(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    everything_is_killed();
    ledger_sql("DELETE FROM job");
    not_decided_until_the_ledger_is_read();
    expect_outcome(SPAWN_OUTCOME_ENDED);
}

/* ---- a store that fails ---- */

/* Its order cannot be read when the broker begins, so that nobody knows whether
 * it is durable. */
static void one_that_cannot_be_read_may_be_durable(void **state)
{
    spawn_writer w;
    char sql[700];

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, "x", 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    everything_is_killed();
    ledger_sql("DELETE FROM job");
    (void)snprintf(
        sql, sizeof(sql),
        "UPDATE job SET due_at = %lld, due_boot = NULL;"
        "ALTER TABLE input RENAME TO of_input;"
        "CREATE VIEW input AS SELECT seq, args,"
        " CASE WHEN strftime('%%s', 'now') + 0 < %lld"
        " THEN abs(-9223372036854775807 - 1) ELSE data END AS data"
        " FROM of_input;"
        "CREATE TRIGGER i INSTEAD OF INSERT ON input BEGIN SELECT 1; END;"
        "CREATE TRIGGER d INSTEAD OF DELETE ON input BEGIN SELECT 1; END;",
        (long long)spawn_wall_ms() + 5000,
        (long long)spawn_wall_ms() / 1000 + 4);
    run_sql(sql);
    another_broker();
    later_by(10);
    expect_id(SPAWN_M_LAUNCH, &job);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || chosen FROM job", "2 1");
}

/* No broker of this boot has read the ledger, and it has nothing of it. */
static void one_that_only_the_spawner_knows_runs_on(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    has_heard();
    kill_broker();
    run_sql("UPDATE meta SET value = 'another boot'"
            " WHERE key = 'ledger_boot'");
    ledger_sql("DELETE FROM job");
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
    the_lock_is_free();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_RUNNING);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

/* ---- what others do to one meanwhile ---- */

static void begin_replacing(spawn_writer *w)
{
    spawn_put_str(w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REPLACE);
}

/* It waits for its second attempt, which the ledger does not know. */
static void one_that_is_replaced_ends_then(void **state)
{
    spawn_writer w;
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, 3600000}, 2);
    begin_replacing(&w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0x0100);
    first = job;
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, attempt = 1, due_at = NULL");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    begin_replacing(&w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    the_lock_is_free();
    expect_id(SPAWN_M_LAUNCH, &job);
    job = first;
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* The job that it comes after was lost with the power. */
static void one_that_comes_after_a_failed_one_ends_then(void **state)
{
    spawn_writer w;
    spawn_id first;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    first = job;
    begin_durable(&w);
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    the_power_was_cut(NULL);
    ledger_sql("DELETE FROM job");
    power_comes_back();
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* It was lost with the ledger, and starts when the one that there is has it. */
static void one_that_the_ledger_lost_is_written_before_it_starts(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    run_sql("UPDATE job SET due_at = 1, due_boot = NULL");
    ledger_sql("DELETE FROM job");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    quiet_for(50);
    the_lock_is_free();
    expect_id(SPAWN_M_LAUNCH, &job);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || chosen FROM job", "2 1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_runs_runs_on),
        TEST(one_that_ends_meanwhile_has_its_end),
        TEST(one_that_nobody_knows_is_told),
        TEST(one_that_had_ended_has_its_end),
        TEST(one_that_had_begun_is_lost),
        TEST(so_is_one_that_the_store_alone_has),
        TEST(the_next_broker_of_the_boot_waits_too),
        TEST(none_ends_before_that_is_known),
        TEST(one_that_was_to_be_killed_has_its_end),
        TEST(so_has_one_that_the_store_has_waiting),
        TEST(one_that_waited_and_was_cancelled_ends_then),
        TEST(what_started_since_runs_on),
        TEST(one_that_was_to_start_waits_on),
        TEST(one_whose_end_only_the_ledger_has_has_that),
        TEST(one_whose_end_nobody_has_is_told_then),
        TEST(so_is_one_that_the_ledger_lost),
        TEST(one_that_cannot_be_read_may_be_durable),
        TEST(one_that_only_the_spawner_knows_runs_on),
        TEST(one_that_comes_after_another_waits),
        TEST(one_that_is_posted_waits_in_the_inbox),
        TEST(so_it_does_when_another_broker_found_it_there),
        TEST(one_that_comes_after_nobody_is_cancelled),
        TEST(one_that_is_replaced_ends_then),
        TEST(one_that_comes_after_a_failed_one_ends_then),
        TEST(one_that_the_ledger_lost_is_written_before_it_starts),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
