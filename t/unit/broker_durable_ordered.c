/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs with a unique key, and after others: also when only the ledger
 * knows of them. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

#include "common/spawn_retry.h"
#include "common/spawn_rule.h"

static spawn_id first, second, third;

static void submit_with(const char *key, uint64_t conflict,
                        const spawn_id *after)
{
    spawn_writer w;

    begin_durable(&w);
    if (key) {
        spawn_put_str(&w, SPAWN_A_UNIQUE, key);
        spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, conflict);
    }
    if (after)
        spawn_put_bytes(&w, SPAWN_A_AFTER, after, sizeof(*after));
    ask(&w);
}

/* The first runs, the second waits for its key, the third for the second. */
static void three_are_accepted(void)
{
    reach_go_and_call_in();
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    submit_with("k", SPAWN_CONFLICT_AFTER, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    second = job;
    submit_with(NULL, 0, &second);
    expect_answer(SPAWN_M_ACCEPTED);
    third = job;
    has_heard();
}

static void they_run_in_order(void)
{
    has_heard();
    quiet_for(30);
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &second);
    say_started(&second);
    has_heard();
    quiet_for(30);
    say_exited(&second, 0, 0);
    expect_id(SPAWN_M_FORGET, &second);
    expect_id(SPAWN_M_LAUNCH, &third);
}

static void they_wait_for_each_other(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    they_run_in_order();
}

static void comes_anew(const char *sql)
{
    spawn_writer w;

    kill_broker();
    wait_for_the_scribe();
    if (sql)
        run_sql(sql);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &first);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void the_next_broker_knows(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    comes_anew(NULL);
    they_run_in_order();
}

static void so_does_the_ledger(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    comes_anew("DELETE FROM job; DELETE FROM need");
    they_run_in_order();
}

/* One that is replaced ends, and is not taken in again. */
static void one_is_replaced(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    three_are_accepted();
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    wait_for_the_scribe();
    expect_sql("SELECT group_concat(state || outcome) FROM job"
               " WHERE outcome NOT NULL",
               "41,44,44");
}

/* One replaces others when it is on the disk, and none that came after it. */
static void the_last_of_two_that_replace_runs(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    has_heard();
    disk[HANG_AFTER] = 0;
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    second = job;
    wait_for_a_hang();
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    third = job;
    disk[HANG_AFTER] = -1;
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_LAUNCH, &third);
}

/* Its commit was still to come. */
static void one_that_only_the_ledger_has_replaces_others(void **state)
{
    char text[SPAWN_ID_TEXT];
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_ready_and_call_in();
    a_durable_job_waits(); /* the ledger is made */
    (void)spawn_id_make(&first);
    begin_submit(&w, &first, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    disk[HANG_AFTER] = 0;
    submit_with("k", SPAWN_CONFLICT_REPLACE, NULL);
    second = job;
    wait_for_a_hang();
    kill_broker();
    disk[HANG_AFTER] = -1;
    wait_for_the_scribe();
    expect_sql("SELECT count(*) FROM job WHERE unique_key = 'k'", "1");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &second);
    say_started(&second);
    has_heard();
    quiet_for(30);
    job = first;
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           spawn_id_format(&second, text)));
}

/* Its own commit was still to come: it was being written to the ledger, and
 * ends when the other one is stored, which the store does not take. */
static void one_that_is_replaced_while_it_is_written_does_not_run(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_ready_and_call_in();
    a_durable_job_waits(); /* the ledger is made */
    kill_broker();
    wait_for_the_scribe();
    run_sql("CREATE TRIGGER a BEFORE UPDATE OF state ON job WHEN NEW.state = 4"
            " BEGIN SELECT RAISE(ABORT, 'by a test'); END;"
            "CREATE TRIGGER b BEFORE INSERT ON job WHEN NEW.state = 4"
            " BEGIN SELECT RAISE(ABORT, 'by a test'); END");
    start_broker();
    expect_ready();
    call_in();
    disk[HANG_AFTER] = 0;
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    first = job;
    wait_for_a_hang();
    (void)spawn_id_make(&second);
    begin_submit(&w, &second, "/bin/true");
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REPLACE);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    disk_goes_on();
    wait_for_the_scribe();
    expect_ledger("SELECT count(*) FROM job", "2");
    run_sql("DROP TRIGGER a; DROP TRIGGER b");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &second);
    say_started(&second);
    job = first;
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
}

/* Ids are made by callers: those of two are in no order. */
static void the_order_of_submits_stays(void **state)
{
    spawn_writer w;
    unsigned i = 5;

    (void)state;
    NEEDS_A_DISK;
    queue_jobs = 1;
    reach_ready_and_call_in();
    (void)spawn_id_make(&second);
    while (second.bytes[i]-- == 0) /* a millisecond ago */
        i--;
    submit_with(NULL, 0, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    begin_submit(&w, &second, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_true(memcmp(&second, &first, sizeof(first)) < 0);
    the_power_was_cut("DELETE FROM job");
    another_broker();
    expect_id(SPAWN_M_LAUNCH, &first);
}

/* It has run once, so it has given it up. */
static void a_key_does_not_come_back(void **state)
{
    static const uint64_t hour[] = {SPAWN_BACKOFF_LIST, 3600000};
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_WAITING);
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, hour, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0x0300);
    first = job;
    has_heard();
    the_power_was_cut("DELETE FROM job");
    expect_ledger("SELECT state || ' ' || attempt FROM job", "1 2");
    another_broker();
    submit_with("k", SPAWN_CONFLICT_REJECT, NULL);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    job = first;
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
}

/* ---- an id that only the ledger knows ---- */

static void one_has_ended_and_the_store_lost_it(void)
{
    reach_go_and_call_in();
    a_durable_job_runs();
    first = job;
    ends(0);
    has_heard();
    kill_broker();
    wait_for_the_scribe();
    run_sql("DELETE FROM job"); /* as of a damaged one that was set aside */
    another_broker();
}

static void submit_the_first_as(const char *program)
{
    spawn_writer w;

    begin_submit(&w, &first, program);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
}

static void another_job_is_refused(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    one_has_ended_and_the_store_lost_it();
    submit_the_first_as("/bin/false");
    expect_refusal(SPAWN_E_CONFLICT);
    a_durable_job_waits(); /* that was no trouble */
    end_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT state FROM job ORDER BY seq LIMIT 1", "4");
}

/* It would run twice. */
static void the_same_one_is_refused(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    one_has_ended_and_the_store_lost_it();
    submit_the_first_as("/bin/true");
    expect_refusal(SPAWN_E_TOO_OLD);
    has_heard();
    quiet_for(30);
}

/* Its broker was killed, and its scribe has not made the first ledger yet. */
static void one_after_a_job_that_is_not_in_the_ledger_yet_waits(void **state)
{
    spawn_writer w;
    char path[96];

    (void)state;
    reach_go_and_call_in();
    (void)snprintf(path, sizeof(path), "%s/durable.lock", dir);
    (void)close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    hold_the_lock();
    submit_with(NULL, 0, NULL);
    has_heard();
    first = job;
    assert_int_equal(spawn_id_make(&second), 0);
    begin_submit(&w, &second, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, &first, sizeof(first));
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    kill_broker();
    another_broker();
    has_heard();
    begin(&w, SPAWN_M_GET, &second);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_QUEUED);
}

int main(void)
{
#define DISK(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        DISK(one_after_a_job_that_is_not_in_the_ledger_yet_waits),
        DISK(they_wait_for_each_other),
        DISK(the_next_broker_knows),
        DISK(so_does_the_ledger),
        DISK(one_is_replaced),
        DISK(the_last_of_two_that_replace_runs),
        DISK(one_that_only_the_ledger_has_replaces_others),
        DISK(one_that_is_replaced_while_it_is_written_does_not_run),
        DISK(the_order_of_submits_stays),
        DISK(a_key_does_not_come_back),
        DISK(another_job_is_refused),
        DISK(the_same_one_is_refused),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
