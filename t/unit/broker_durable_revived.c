/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that were dead, and are revived: that is answered when the
 * ledger has it, also one that has forgotten the job. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_rule.h"

static spawn_id busy;
static const char *key; /* NULL: it has none */
static bool at_once;    /* it is dead after its first attempt */
static bool not_when_lost;

static void fails(unsigned attempt)
{
    spawn_writer w;

    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    say_started(&job);
    begin(&w, SPAWN_M_EXITED, &job);
    if (attempt > 1)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0x0100);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

static void one_is_dead(void)
{
    static const uint64_t on[] = {SPAWN_RETRY_ON_LOST,
                                  SPAWN_RETRY_ON_START_FAILED,
                                  SPAWN_RETRY_ON_FAILED};
    spawn_writer w;

    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, 1}, 2);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on + (not_when_lost ? 1 : 0),
                   at_once || not_when_lost ? 2 : 3);
    if (key) {
        spawn_put_str(&w, SPAWN_A_UNIQUE, key);
        spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REPLACE);
    }
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    fails(1);
    if (!at_once)
        fails(2);
    at_once = false;
    has_heard();
}

/* A broker that leaves waits for it, so that the next sync is of what follows.
 */
static void its_end_is_in_the_ledger(void)
{
    end_broker();
    (void)spawn_id_make(&life); /* another spawner */
    another_broker();
    has_heard();
}

static void ask_to_revive(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_REVIVE, &job);
    ask(&w);
}

/* It waits, since another one runs. */
static void one_is_revived(void)
{
    spawn_id dead;

    queue_jobs = 1;
    one_is_dead();
    dead = job;
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    busy = job;
    job = dead;
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    quiet_for(30);
}

static void it_starts(unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    say_started(&job);
}

#define DEAD_STILL                                                             \
    "UPDATE job SET state = 4, dead = 1, attempt = 2, outcome = 1,"            \
    " exit_code = 1, ended_at = 1 WHERE seq = 1; DELETE FROM job WHERE seq = " \
    "2"

static void it_is_revived_after_a_power_cut(void **state)
{
    (void)state;
    one_is_revived();
    the_power_was_cut(DEAD_STILL);
    another_broker();
    it_starts(3);
    has_heard();
    assert_int_equal(logged("MS0865"), 0); /* it could be read */
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 3");
}

/* Another scribe has it still. */
static void the_ledger_is_read_late(void)
{
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    expect_outcome(SPAWN_OUTCOME_EXITED); /* as the store says */
    the_lock_is_free();
}

static void so_it_is_when_the_ledger_is_read_late(void **state)
{
    (void)state;
    one_is_revived();
    the_power_was_cut(DEAD_STILL);
    the_ledger_is_read_late();
    it_starts(3);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 3");
}

/* An attempt after that has failed, and the next one waits for its time. */
static void it_waits_for_its_time(void **state)
{
    (void)state;
    one_is_revived();
    the_power_was_cut(DEAD_STILL);
    ledger_sql("UPDATE job SET attempt = 4, due_at = 32503680000000");
    another_broker();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 4);
}

/* Only the ledger knows of it. */
static void it_can_be_revived_when_the_store_has_lost_it(void **state)
{
    (void)state;
    one_is_dead();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    has_heard();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
}

static void one_without_retries_cannot(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0100);
    has_heard();
    the_power_was_cut("DELETE FROM job");
    another_broker();
    has_heard();
    ask_to_revive();
    expect_answer(SPAWN_M_REFUSED);
}

/* Its attempt had begun, and is not begun twice. */
static void its_attempt_is_lost(void **state)
{
    (void)state;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    the_power_was_cut(DEAD_STILL);
    another_broker();
    it_starts(4);
}

static void its_lost_attempt_was_one_of_those_it_had(void **state)
{
    (void)state;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    the_power_was_cut(DEAD_STILL);
    another_broker();
    fails(4);
    has_heard();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 4);
}

static void so_it_is_when_the_ledger_says_so_late(void **state)
{
    (void)state;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    the_power_was_cut(DEAD_STILL);
    the_ledger_is_read_late();
    it_starts(4);
}

/* The ledger is read after 4 s, and the store takes that some seconds later. */
static void it_is_revived_also_when_the_store_is_full(void **state)
{
    char when[160];

    (void)state;
    one_is_revived();
    the_power_was_cut(DEAD_STILL);
    (void)snprintf(when, sizeof(when),
                   NO_UPDATE " WHEN OLD.dead = 1 AND"
                             " strftime('%%s', 'now') + 0 < %lld",
                   (long long)spawn_wall_ms() / 1000 + 6);
    store_fails(when);
    the_ledger_is_read_late();
    it_starts(3);
}

/* Its row in the ledger cannot be read. */
static void one_whose_row_is_damaged_is_told(void **state)
{
    (void)state;
    one_is_revived();
    the_power_was_cut(DEAD_STILL);
    ledger_sql("UPDATE job SET message = x'00'");
    another_broker();
    wait_until_logged("MS0865", 1);
    quiet_for(50);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "1 3");
}

/* It is dead, as it was before. */
static void one_that_is_not_to_be_tried_again_stays_dead(void **state)
{
    (void)state;
    not_when_lost = true;
    one_is_dead();
    not_when_lost = false;
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    the_power_was_cut(DEAD_STILL);
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || exit_code FROM job", "4 1");
}

static void one_that_ended_once_revived_does_not_run_again(void **state)
{
    (void)state;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    fails(3);
    fails(4);
    has_heard();
    the_power_was_cut(DEAD_STILL);
    ledger_sql("UPDATE job SET exit_code = 9");
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 9);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 4);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || exit_code FROM job", "4 9");
    expect_sql("SELECT state || ' ' || dead || ' ' || exit_code FROM job",
               "4 1 9");
    expect_sql("SELECT exit_code FROM attempt WHERE number = 2", "1");
}

/* It was dead after its first attempt. */
static void nor_does_one_with_a_single_attempt(void **state)
{
    (void)state;
    at_once = true;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    fails(2);
    has_heard();
    the_power_was_cut("UPDATE job SET attempt = 1");
    ledger_sql("UPDATE job SET exit_code = 9");
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 9);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
}

/* Else another one that has ended is taken for one too many. */
static void one_that_ended_once_revived_counts_once(void **state)
{
    spawn_id dead;
    unsigned i;

    (void)state;
    one_is_dead();
    dead = job;
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    job = dead;
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    fails(3);
    fails(4);
    has_heard();
    the_power_was_cut("UPDATE job SET attempt = 2 WHERE seq = 1");
    history_jobs = 2;
    another_broker();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 4);
    for (i = 0; i < 3; i++)
        time_passes(130); /* so long each is kept, whatever the limit is */
    end_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

/* It ended well, so that it could not be revived once more. */
static void nor_is_it_dead_when_it_ended_well(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_dead();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    begin(&w, SPAWN_M_EXITED, &job);
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, 3);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    the_power_was_cut(DEAD_STILL);
    the_ledger_is_read_late();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
    ask_to_revive();
    expect_refusal(SPAWN_E_NOT_DEAD);
}

/* The ledger had not come to its end. */
static void one_that_died_stays_dead(void **state)
{
    (void)state;
    one_is_dead();
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET state = 2, outcome = NULL");
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_EXITED);
    everything_is_killed();
    expect_ledger("SELECT state FROM job", "4");
}

/* It was revived, in vain, and the ledger did not come to the end of that. */
static void a_later_end_that_only_the_store_has_is_written(void **state)
{
    (void)state;
    one_is_dead();
    its_end_is_in_the_ledger();
    the_power_was_cut(NULL);
    ledger_sql("UPDATE job SET attempt = 1, exit_code = 9");
    another_broker();
    has_heard();
    everything_is_killed();
    wait_for_the_scribe();
    expect_ledger("SELECT state || ' ' || attempt || ' ' || exit_code FROM job",
                  "4 2 1");
}

/* Dead jobs are kept longer than the ledger has their ends. */
static void the_ledger_may_have_forgotten_it(void **state)
{
    (void)state;
    one_is_dead();
    everything_is_killed();
    ledger_sql("DELETE FROM job");
    another_broker();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    quiet_for(50);
    expect_outcome(SPAWN_OUTCOME_LOST);
}

static void the_ledger_may_have_been_removed(void **state)
{
    char path[96];

    (void)state;
    one_is_dead();
    everything_is_killed();
    wait_for_the_scribe();
    (void)snprintf(path, sizeof(path), "%s/durable-1.db", dir);
    assert_int_equal(unlink(path), 0);
    another_broker();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 3");
}

/* The broker was killed before the ledger had it. */
static void the_next_broker_writes_it(void **state)
{
    (void)state;
    one_is_revived();
    everything_is_killed();
    run_sql("UPDATE job SET state = 4, outcome = 7 WHERE seq = 2");
    ledger_sql("DELETE FROM job");
    another_broker();
    it_starts(3);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 3");
}

static void it_is_refused_while_nothing_can_be_stored(void **state)
{
    (void)state;
    one_is_dead();
    everything_is_killed();
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    ask_to_revive();
    expect_refused_with("a durable job cannot be stored");
    the_lock_is_free();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
}

/* That it waits may be on the disk, until its end is. */
static void is_refused_when_the_ledger_has_its_end(void)
{
    one_is_dead();
    its_end_is_in_the_ledger();
    disk[FAIL_NEXT] = -1;
    ask_to_revive();
    wait_until_logged("MS0696", 1);
    quiet_at(caller, 50);
    disk[FAIL_NEXT] = 0;
    expect_refused_with("a durable job cannot be stored");
    everything_is_killed();
    expect_ledger("SELECT state FROM job", "4");
}

static void it_is_refused_when_the_ledger_has_its_end(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    is_refused_when_the_ledger_has_its_end();
}

static void so_is_one_with_a_single_attempt(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    at_once = true;
    is_refused_when_the_ledger_has_its_end();
}

static void expect_dead_again(void)
{
    expect_outcome(SPAWN_OUTCOME_START_FAILED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_STORE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
}

/* Its body was lost while the store was told that it waits. */
static void one_that_cannot_be_read_then_is_refused(void **state)
{
    (void)state;
    at_once = true;
    one_is_dead();
    end_broker();
    run_sql("CREATE TRIGGER loses AFTER UPDATE OF state ON job"
            " WHEN NEW.state = 1 BEGIN"
            " UPDATE job SET body = x'ff' WHERE id = NEW.id; END");
    another_broker();
    ask_to_revive();
    expect_refused_with("what it is to run cannot be read in the store");
    expect_dead_again();
}

/* The store has that it waits: so that is an attempt that could not start, and
 * its caller was told so: no other one follows, whatever its order says. */
static void one_that_the_ledger_does_not_take_is_dead_again(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    at_once = true;
    one_is_dead();
    its_end_is_in_the_ledger();
    disk[FAIL_NEXT] = 2; /* once more is not noticed */
    ask_to_revive();
    expect_refused_with("cannot be stored");
    quiet_for(50);
    expect_dead_again();
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    it_starts(3);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || attempt FROM job", "2 3");
}

static void one_that_is_tried_again_is_not_made_durable(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_dead();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, 1}, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    fails(1);
    fails(2);
    has_heard();
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "1");
}

/* It waits for its key, whatever its order says. */
static void it_replaces_nobody(void **state)
{
    spawn_writer w;
    spawn_id dead;

    (void)state;
    NEEDS_A_DISK;
    key = "k";
    one_is_dead();
    key = NULL;
    dead = job;
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    busy = job;
    job = dead;
    ask_to_revive();
    expect_answer(SPAWN_M_DONE);
    has_heard();
    quiet_for(30);
    job = busy;
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_revived_after_a_power_cut),
        TEST(so_it_is_when_the_ledger_is_read_late),
        TEST(it_waits_for_its_time),
        TEST(it_is_revived_also_when_the_store_is_full),
        TEST(one_whose_row_is_damaged_is_told),
        TEST(it_can_be_revived_when_the_store_has_lost_it),
        TEST(one_without_retries_cannot),
        TEST(its_attempt_is_lost),
        TEST(its_lost_attempt_was_one_of_those_it_had),
        TEST(so_it_is_when_the_ledger_says_so_late),
        TEST(one_that_is_not_to_be_tried_again_stays_dead),
        TEST(one_that_ended_once_revived_does_not_run_again),
        TEST(nor_does_one_with_a_single_attempt),
        TEST(one_that_ended_once_revived_counts_once),
        TEST(nor_is_it_dead_when_it_ended_well),
        TEST(one_that_died_stays_dead),
        TEST(a_later_end_that_only_the_store_has_is_written),
        TEST(the_ledger_may_have_forgotten_it),
        TEST(the_ledger_may_have_been_removed),
        TEST(the_next_broker_writes_it),
        TEST(it_is_refused_while_nothing_can_be_stored),
        TEST(one_that_cannot_be_read_then_is_refused),
        TEST(one_that_the_ledger_does_not_take_is_dead_again),
        TEST(it_is_refused_when_the_ledger_has_its_end),
        TEST(so_is_one_with_a_single_attempt),
        TEST(one_that_is_tried_again_is_not_made_durable),
        TEST(it_replaces_nobody),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
