/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs on a disk that fails: what is not on it is refused, other jobs
 * go on, and what an earlier sync has put there is never lost.
 */
#include "t/unit/broker_durable.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

static unsigned files_like(const char *part)
{
    struct dirent *e;
    unsigned count = 0;
    DIR *d = opendir(dir);

    assert_non_null(d);
    while ((e = readdir(d)))
        count += strstr(e->d_name, part) != NULL;
    (void)closedir(d);
    return count;
}

static void others_go_on(void)
{
    spawn_id durable = job;

    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    ends(0);
    job = durable;
}

static void a_sync_that_fails_once_is_not_noticed(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[FAIL_NEXT] = 1;
    a_durable_job_runs();
    wait_until_logged("MS0699", 1);
    assert_int_equal(files_like("durable-1.db"), 0);
    assert_true(files_like("durable-2.db") > 0);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "2");
}

/* The first one may be on the disk all the same, until that works again: then
 * it is dropped. */
static void it_is_refused_while_syncs_fail(void **state)
{
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[FAIL_NEXT] = -1;
    submit_durable();
    first = job;
    wait_until_logged("MS0696", 1);
    quiet_for(50);
    submit_durable(); /* at once */
    expect_refused_with("cannot be stored");
    others_go_on();
    disk[FAIL_NEXT] = 0;
    expect_refused_with("cannot be stored");
    spawn_attr_id(&message.attr[SPAWN_A_ID], &job);
    assert_true(spawn_id_equal(&job, &first));
    wait_until_logged("MS0697", 1);
    a_durable_job_runs();
    ends(0);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "2");
}

static void who_waits_for_its_end_is_refused_too(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[FAIL_NEXT] = 2; /* once more is not noticed */
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_refused_with("cannot be stored");
}

/* Neither its id nor its place in the queue is taken, and no history has it. */
static void nothing_is_left_of_one_that_was_refused(void **state)
{
    spawn_writer w;
    spawn_id refused;

    (void)state;
    NEEDS_A_DISK;
    queue_jobs = queue_waits = 1;
    reach_go_and_call_in();
    a_durable_job_runs();
    disk[FAIL_NEXT] = 2; /* once more is not noticed */
    submit_durable();
    expect_refused_with("cannot be stored");
    refused = job;
    begin(&w, SPAWN_M_GET, &refused);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED); /* the queue has room for one */
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    begin_submit(&w, &refused, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    kill_broker();
    /* that the first one runs is written by and by */
    expect_sql("SELECT group_concat(state) FROM (SELECT"
               " CASE state WHEN 2 THEN 3 ELSE state END AS state FROM job"
               " ORDER BY seq)",
               "3,4,1");
}

static bool one_more_is_taken(void)
{
    spawn_writer w;

    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
    ask(&w);
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    return message.header.type == SPAWN_M_ACCEPTED;
}

/* And is good again in between. */
static void one_that_fails_all_the_time_has_few_lines(void **state)
{
    int64_t since = spawn_mono_ms();
    int i;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    for (i = 0; i < 7; i++) {
        int64_t end = spawn_mono_ms() + DEADLINE_MS;

        disk[FAIL_NEXT] = 2;
        assert_false(one_more_is_taken());
        while (!one_more_is_taken() && spawn_mono_ms() < end)
            (void)usleep(20000);
        assert_true(message.header.type == SPAWN_M_ACCEPTED);
    }
    end_broker();
    expect_few("MS0696", 5, since);
    expect_few("MS0697", 5, since);
}

/* A job that has httpd's User can remove the ledger again and again. */
static void one_that_is_removed_all_the_time_has_few_lines(void **state)
{
    const int64_t since = spawn_mono_ms();
    char path[120];
    unsigned i;

    (void)state;
    reach_go_and_call_in();
    for (i = 1; i <= 9; i++) {
        assert_true(one_more_is_taken());
        (void)snprintf(path, sizeof(path), "%s/durable-%u.db", dir, i);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(one_more_is_taken());
    end_broker();
    expect_few("MS0699", 5, since);
}

static void it_waits_while_its_start_cannot_be_written(void **state)
{
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    queue_jobs = 1;
    reach_go_and_call_in();
    a_durable_job_runs();
    first = job;
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    disk[FAIL_NEXT] = -1;
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    wait_until_logged("MS0696", 1);
    quiet_for(50);
    others_go_on(); /* it has not kept its place in the queue */
    disk[FAIL_NEXT] = 0;
    wait_until_logged("MS0697", 1);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job WHERE state = 4", "2");
}

static void a_disk_that_hangs_stops_nobody_else(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    others_go_on();
    kill_broker(); /* its scribe stays, and has the lock */
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY); /* within a few seconds */
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]), SPAWN_E_OK);
    say(SPAWN_M_GO);
    call_in();
    wait_until_logged("MS0696", 1);
    others_go_on();
    disk[HANG_AFTER] = -1;
    expect_id(SPAWN_M_LAUNCH, &job); /* the old scribe has written it */
    wait_until_logged("MS0697", 1);
    say_started(&job);
    ends(0);
}

static void a_scribe_that_is_killed_is_replaced(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    kill_scribe();
    disk_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* One that has nothing else to do any more. */
static void a_broker_that_leaves_waits_for_the_next_scribe(void **state)
{
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_runs();
    first = job;
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    say_exited(&first, 0, 0); /* the scribe does not read that any more */
    expect_id(SPAWN_M_FORGET, &first);
    has_heard();
    kill_scribe();
    disk_goes_on();
    wait_until_logged("MS0696", 1);
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
    wait_for_the_scribe();
    expect_ledger("SELECT state FROM job WHERE state <> 1", "4");
}

static void one_that_was_removed_is_made_anew(void **state)
{
    char path[96];

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    (void)snprintf(path, sizeof(path), "%s/durable-1.db", dir);
    assert_int_equal(unlink(path), 0);
    a_durable_job_runs();
    wait_until_logged("MS0699", 1);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "2");
}

static void damage(const char *sql)
{
    char path[96];
    FILE *file;

    everything_is_killed();
    if (sql)
        ledger_sql(sql);
    (void)snprintf(path, sizeof(path), "%s/durable-1.db", dir);
    file = fopen(path, "r+e");
    assert_non_null(file);
    /* some rows, or the first page */
    assert_int_equal(fseek(file, sql ? 4096 * 12 : 0, SEEK_SET), 0);
    assert_true(fwrite("damaged by a test", 17, 1, file) == 1);
    (void)fclose(file);
}

static void a_damaged_one_is_set_aside(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    damage(NULL);
    another_broker();
    wait_until_logged("MS0698", 1);
    assert_int_equal(files_like("damaged-durable-1.db"), 1);
    a_durable_job_runs();
}

static void what_can_be_read_of_it_is_kept(void **state)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    int count;

    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    damage("INSERT INTO job(id, state, attempt, submitted_at, message)"
           " SELECT randomblob(16), 4, 1, 1, randomblob(1000) FROM"
           " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
           "  WHERE i < 100) SELECT i FROM n)");
    another_broker();
    wait_until_logged("MS0698", 1);
    everything_is_killed();
    db = open_ledger();
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM job", -1, &s, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    count = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    assert_in_range(count, 90, 100);
}

/* As a power cut leaves it: the next scribe has to copy it. */
static void change_it_and_leave_its_log(const char *sql)
{
    sqlite3 *db = open_ledger();

    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

/* The scribe does that to see whether it can, before the broker says
 * anything. */
static void wait_until_the_copy_is_written(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    struct stat st;
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/durable-2.db-wal", dir);
    while (stat(path, &st) < 0 || st.st_size == 0) {
        assert_true(spawn_mono_ms() < end);
        (void)usleep(1000);
    }
}

#define CUT    "UPDATE meta SET value = 'another boot' WHERE key = 'boot_id';"
#define IS_DUE "UPDATE job SET due_at = 1, due_boot = NULL;"

/* jobs.db lost what the ledger has of it. The ledger cannot be opened at once;
 * it can when the broker is killed, before that has taken anything from it. */
static void nobody_has_taken_what_was_read(const char *in_the_ledger)
{
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    wait_for_the_scribe();
    run_sql(CUT "UPDATE meta SET value = 'another boot'"
                " WHERE key = 'ledger_boot';" IS_DUE);
    change_it_and_leave_its_log(in_the_ledger);
    disk[FAIL_NEXT] = -1;
    another_broker();
    wait_until_logged("MS0696", 1);
    has_heard();
    broker_sleeps();
    disk[FAIL_NEXT] = 0;
    wait_until_the_copy_is_written();
    everything_is_killed();
    wait_for_the_scribe();
    another_broker();
    has_heard();
}

static void the_next_broker_does_not_start_what_has_ended(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    nobody_has_taken_what_was_read(
        CUT "UPDATE job SET state = 4, chosen = 1, outcome = 1, exit_code = 7,"
            " started_at = 1, ended_at = 2");
    expect_outcome(SPAWN_OUTCOME_EXITED);
    quiet_for(100);
}

static void nor_what_has_started(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    nobody_has_taken_what_was_read(CUT "UPDATE job SET state = 2, chosen = 1");
    expect_outcome(SPAWN_OUTCOME_LOST);
    quiet_for(100);
}

static void a_newer_one_is_left_alone(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_waits();
    everything_is_killed();
    ledger_sql("PRAGMA user_version=2");
    another_broker();
    wait_until_logged("newer mod_spawn", 1);
    submit_durable();
    expect_refused_with("newer mod_spawn");
    others_go_on();
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sync_that_fails_once_is_not_noticed),
        TEST(it_is_refused_while_syncs_fail),
        TEST(who_waits_for_its_end_is_refused_too),
        TEST(nothing_is_left_of_one_that_was_refused),
        TEST(one_that_fails_all_the_time_has_few_lines),
        TEST(one_that_is_removed_all_the_time_has_few_lines),
        TEST(it_waits_while_its_start_cannot_be_written),
        TEST(a_disk_that_hangs_stops_nobody_else),
        TEST(a_scribe_that_is_killed_is_replaced),
        TEST(a_broker_that_leaves_waits_for_the_next_scribe),
        TEST(one_that_was_removed_is_made_anew),
        TEST(a_damaged_one_is_set_aside),
        TEST(what_can_be_read_of_it_is_kept),
        TEST(the_next_broker_does_not_start_what_has_ended),
        TEST(nor_what_has_started),
        TEST(a_newer_one_is_left_alone),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
