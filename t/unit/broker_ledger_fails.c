/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger on a disk that fails or is full: nothing is said to be on it that
 * is not, nothing that was is lost, and who reads the log learns why. In one
 * process (broker_ledger.h).
 */
#include "t/unit/broker_ledger.h"

/* ---- a sync that fails ---- */

static void what_is_not_synced_is_not_written(void **state)
{
    unsigned open;

    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    open = open_count();
    fail_after(&disk->syncs, 0, 1, EIO);
    assert_int_equal(tries_job(2), -1);
    assert_string_equal(ledger.why, "it cannot be written: disk I/O error");
    assert_false(ledger.full);
    jobs_are_there(1);
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 0);
    assert_false(ledger.spoiled);
    assert_int_equal(open_count(), open);
    jobs_are_there(1);
    assert_int_equal(tries_job(2), 0);
    opens_anew();
    assert_int_equal(ledger.number, 2);
    jobs_are_there(2);
}

/* It goes on with nothing until there is a copy. */
static void a_copy_that_cannot_be_synced_is_made_later(void **state)
{
    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    fail_after(&disk->syncs, 0, -1, EIO);
    assert_int_equal(tries_job(2), -1);
    assert_int_equal(spawn_ledger_renew(&ledger), -1);
    assert_string_equal(ledger.why,
                        "a new file cannot be synced: Input/output error");
    assert_true(ledger.spoiled);
    assert_false(is_there("durable-2.db"));
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_true(is_there("durable-1.db"));
    disk_is_good();
    opens();
    assert_int_equal(ledger.number, 2);
    assert_false(ledger.spoiled);
    jobs_are_there(1);
    assert_int_equal(tries_job(2), 0);
    assert_true(is_there("durable-2.db"));
    assert_false(is_there("durable-1.db"));
}

/* Its log has what the disk has not: so the next scribe has to copy it. */
static void one_that_is_closed_then_is_left_as_it_is(void **state)
{
    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    fail_after(&disk->syncs, 0, -1, EIO);
    assert_int_equal(tries_job(2), -1);
    assert_int_equal(spawn_ledger_renew(&ledger), -1);
    disk_is_good();
    scribe_ends();
    assert_true(is_there("durable-1.db-wal"));
    opens();
    assert_int_equal(ledger.number, 2);
    read_rows(true);
    assert_in_range(rows_count, 1, 2); /* nobody was told of the second */
    assert_int_equal(rows[0].r.id.bytes[0], 1);
}

static void nor_is_one_that_is_copied_in_vain(void **state)
{
    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    ledger.spoiled = true; /* so that its log stays */
    scribe_ends();
    fail_after(&disk->syncs, 0, -1, EIO);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_true(is_there("durable-1.db-wal"));
    disk_is_good();
    opens();
    assert_int_equal(ledger.number, 2);
    jobs_are_there(1);
}

/* The name of a new file, and of its directory, are on the disk with it. */
static void the_directories_are_synced(void **state)
{
    bool directory = false, parent = false;
    int i;

    (void)state;
    opens();
    for (i = 0; i < disk->synced_count; i++) {
        directory = directory || disk->synced[i] == inode_of(dir);
        parent = parent || disk->synced[i] == inode_of("/tmp");
    }
    assert_true(directory);
    assert_true(parent);
}

static void the_first_is_none_before_it_is_synced(void **state)
{
    (void)state;
    fail_after(&disk->syncs, 0, 1, EIO);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(ledger.why,
                        "a new file cannot be synced: Input/output error");
    assert_false(spawn_ledger_there(dir));
    fail_after(&disk->syncs, 1, 1, EIO);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(ledger.why,
                        "its directory cannot be synced: Input/output error");
    opens();
    assert_int_equal(ledger.number, 1);
    assert_int_equal(tries_job(1), 0);
}

static void so_is_one_that_cannot_be_named(void **state)
{
    const unsigned open = open_count() + 1; /* the lock */

    (void)state;
    fail_after(&disk->renames, 0, 1, EACCES);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(ledger.why,
                        "a new file cannot be named: Permission denied");
    assert_false(spawn_ledger_there(dir));
    assert_int_equal(open_count(), open);
    opens();
    assert_int_equal(tries_job(1), 0);
    fail_after(&disk->renames, 0, 1, EACCES);
    assert_int_equal(spawn_ledger_renew(&ledger), -1);
    assert_int_equal(ledger.number, 1);
    opens();
    assert_int_equal(ledger.number, 2);
    jobs_are_there(1);
}

/* It is open to nobody who would read it. */
static int no_directory_can_be_opened(void)
{
    deny_when(SYS_openat, 2, O_RDONLY | O_DIRECTORY | O_CLOEXEC, EACCES);
    IS(spawn_ledger_open(&ledger) == -1);
    IS(strcmp(ledger.why, "its directory cannot be synced: Permission denied")
       == 0);
    return 0;
}

static void a_directory_that_cannot_be_synced_is_told(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(no_directory_can_be_opened);
}

/* ---- a full disk ---- */

static void that_a_disk_is_full_is_told(void **state)
{
    static const int errors[] = {ENOSPC, EDQUOT};
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        fail_after(&disk->syncs, 0, 1, errors[i]);
        assert_int_equal(spawn_ledger_open(&ledger), -1);
        assert_true(ledger.full);
    }
    fail_after(&disk->syncs, 0, 1, EIO);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_false(ledger.full);
    fail_after(&disk->writes, 0, 1, ENOSPC);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_true(ledger.full);
    assert_string_equal(ledger.why,
                        "a new file cannot be made: the disk is full");
    assert_false(spawn_ledger_there(dir));
    opens();
    assert_int_equal(tries_job(1), 0);
    fail_after(&disk->writes, 0, -1, ENOSPC);
    assert_int_equal(tries_job(2), -1);
    assert_true(ledger.full);
    assert_string_equal(ledger.why, "it cannot be written: the disk is full");
    disk_is_good();
    assert_int_equal(tries_job(2), 0);
    jobs_are_there(2);
    assert_int_equal(ledger.number, 1);
}

static void one_that_was_removed_is_not_written(void **state)
{
    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    fail_after(&disk->writes, 0, -1, ENOSPC);
    assert_int_equal(tries_job(2), -1);
    assert_true(ledger.full);
    disk_is_good();
    assert_int_equal(unlink(path_of("durable-1.db")), 0);
    assert_int_equal(tries_job(2), -1);
    assert_string_equal(ledger.why, "durable-1.db was removed");
    assert_false(ledger.full); /* no room is wanted */
    put_file("durable-1.db", "another one");
    assert_int_equal(tries_job(3), -1);
    assert_string_equal(ledger.why, "durable-1.db was removed");
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_int_equal(ledger.number, 2);
    assert_int_equal(tries_job(4), 0);
}

/* ---- a statement that fails ---- */

static int stops(void *of)
{
    (void)of;
    return 1;
}

/* Of those that fail in the middle, whatever the reason. */
static void each_record_tells_that_it_failed(void **state)
{
    static const spawn_ledger_type types[] = {
        SPAWN_LEDGER_PUT,   SPAWN_LEDGER_REVIVE, SPAWN_LEDGER_ORDER,
        SPAWN_LEDGER_WAITS, SPAWN_LEDGER_END,    SPAWN_LEDGER_DROP,
        SPAWN_LEDGER_TRIM,  SPAWN_LEDGER_READ};
    unsigned i;

    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        spawn_ledger_record r = record_of(types[i], 1);

        r.state = SPAWN_LEDGER_IS_WAITING;
        r.length = SPAWN_WIRE_HEADER;
        assert_int_equal(spawn_ledger_begin(&ledger), 0);
        sqlite3_progress_handler(ledger.db, 1, stops, NULL);
        assert_int_equal(
            spawn_ledger_write(&ledger, &r, "0123456789abcdef", NULL, 0), -1);
        sqlite3_progress_handler(ledger.db, 0, NULL, NULL);
        assert_string_equal(ledger.why, "it cannot be written: interrupted");
        spawn_ledger_rollback(&ledger);
        assert_string_equal(ledger.why, "it cannot be written: interrupted");
    }
    jobs_are_there(1);
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_WAITING);
}

/* Whatever it was: the next one is another transaction. */
static void one_that_fails_fails_alone(void **state)
{
    const spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 2);

    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    assert_int_equal(tries(&r, NULL), -1); /* it has no message */
    assert_string_equal(
        ledger.why,
        "it cannot be written: NOT NULL constraint failed: job.message");
    assert_int_equal(tries_job(2), 0);
    jobs_are_there(2);
}

static void rows_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    opens();
    assert_int_equal(tries_job(1), 0);
    sqlite3_progress_handler(ledger.db, 1, stops, NULL);
    rows_count = 0;
    assert_int_equal(spawn_ledger_rows(&ledger, true, see, &ledger), -1);
    assert_string_equal(ledger.why, "it cannot be read: interrupted");
    sqlite3_progress_handler(ledger.db, 0, NULL, NULL);
    jobs_are_there(1);
    scribe_ends();
    change_file("durable-1.db", "ALTER TABLE job RENAME TO jobs");
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(ledger.why, "it cannot be written: no such table: job");
}

/* Whether it is the same job cannot be said then. */
static void one_that_is_sent_again_and_cannot_be_read_fails(void **state)
{
    static uint8_t message[3 << 20];
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);

    (void)state;
    r.length = sizeof(message);
    opens();
    assert_int_equal(tries(&r, message), 0);
    opens_anew();
    assert_int_equal(tries_job(2), 0); /* pages of the index are read */
    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    fail_after(&disk->reads, 3, -1, ESTALE);
    assert_int_equal(spawn_ledger_write(&ledger, &r, message, NULL, 0), -1);
    disk_is_good();
    assert_string_equal(ledger.why,
                        "it cannot be read: disk I/O error: Stale file handle");
    spawn_ledger_rollback(&ledger);
    assert_int_equal(tries(&r, message), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(what_is_not_synced_is_not_written),
        LEDGER_TEST(a_copy_that_cannot_be_synced_is_made_later),
        LEDGER_TEST(one_that_is_closed_then_is_left_as_it_is),
        LEDGER_TEST(nor_is_one_that_is_copied_in_vain),
        LEDGER_TEST(the_directories_are_synced),
        LEDGER_TEST(the_first_is_none_before_it_is_synced),
        LEDGER_TEST(so_is_one_that_cannot_be_named),
        LEDGER_TEST(a_directory_that_cannot_be_synced_is_told),
        LEDGER_TEST(that_a_disk_is_full_is_told),
        LEDGER_TEST(one_that_was_removed_is_not_written),
        LEDGER_TEST(each_record_tells_that_it_failed),
        LEDGER_TEST(one_that_fails_fails_alone),
        LEDGER_TEST(rows_that_cannot_be_read_are_told),
        LEDGER_TEST(one_that_is_sent_again_and_cannot_be_read_fails),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
