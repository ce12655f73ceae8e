/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the ledger: which one counts, when it is copied into the next
 * one, and what becomes of one that is damaged, or not ours. In one process
 * (broker_ledger.h).
 */
#include "t/unit/broker_ledger.h"

#include <limits.h>

#define MIB (1 << 20)

/* ---- what is done to it ---- */

/* A scribe that is killed: its log stays. */
static int a_scribe_writes_and_dies(void)
{
    spawn_ledger_init(&ledger, dir);
    if (spawn_ledger_open(&ledger))
        return 1;
    (void)puts_job(1, "one");
    (void)puts_job(2, "two");
    return 0;
}

static void a_scribe_was_killed(void)
{
    assert_int_equal(in_a_child(a_scribe_writes_and_dies), 0);
    assert_true(is_there("durable-1.db-wal"));
}

static void a_scribe_has_ended(void)
{
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(puts_job(2, "two"), 0);
    scribe_ends();
}

static void write_at(const char *name, long at, const void *bytes,
                     size_t length)
{
    FILE *file = fopen(path_of(name), "r+e");

    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_true(fwrite(bytes, length, 1, file) == 1);
    assert_int_equal(fclose(file), 0);
}

/* One that only a look at all pages finds: the count of free ones. */
static void damage_a_little(void)
{
    write_at("durable-1.db", 36, "\0\0\0\5", 4);
}

/* So long that nobody looks at all pages. */
static void make_it_long(void)
{
    assert_int_equal(truncate(path_of("durable-1.db"), 33 * MIB), 0);
}

static void two_jobs_are_there(void)
{
    read_rows(true);
    assert_int_equal(rows_count, 2);
    assert_string_equal(rows[0].message + SPAWN_WIRE_HEADER, "one");
    assert_string_equal(rows[1].message + SPAWN_WIRE_HEADER, "two");
}

/* ---- which one counts ---- */

static void one_that_was_closed_is_opened(void **state)
{
    uint64_t inode;
    unsigned open;

    (void)state;
    a_scribe_has_ended();
    assert_false(is_there("durable-1.db-wal"));
    put_file("durable-1.db-wal", ""); /* as good as none */
    inode = inode_of(path_of("durable-1.db"));
    open = open_count();
    opens();
    assert_int_equal(ledger.number, 1);
    assert_int_equal(inode_of(path_of("durable-1.db")), inode);
    two_jobs_are_there();
    opens(); /* it is */
    assert_int_equal(ledger.number, 1);
    scribe_ends();
    assert_int_equal(open_count(), open);
}

static void the_highest_counts_and_others_go(void **state)
{
    unsigned open;

    (void)state;
    a_scribe_has_ended();
    assert_int_equal(rename(path_of("durable-1.db"), path_of("durable-12.db")),
                     0);
    put_file("durable-3.db", "old");
    put_file("durable-3.db-wal", "old");
    put_file("durable-3.db-shm", "old");
    put_file("durable-9.db", "old");
    open = open_count();
    opens();
    assert_int_equal(ledger.number, 12);
    two_jobs_are_there();
    assert_true(is_there("durable-12.db"));
    assert_false(is_there("durable-3.db"));
    assert_false(is_there("durable-3.db-wal"));
    assert_false(is_there("durable-3.db-shm"));
    assert_false(is_there("durable-9.db"));
    scribe_ends();
    assert_int_equal(open_count(), open);
}

static void other_names_are_none(void **state)
{
    static const char *const names[] = {
        "durable-.db",          "durable-7.db.old",      "durable-x.db",
        "archived7.db",         "damaged-durable-7.db",  "durable-7.new",
        "durable-7.db-wal",     "durable-4294967295.db", "durable-0.db",
        "durable-7000000000.db"};
    unsigned i, open;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put_file(names[i], "not ours");
    open = open_count();
    assert_false(spawn_ledger_there(dir));
    assert_int_equal(open_count(), open);
    assert_int_equal(spawn_ledger_find(&ledger), 0);
    opens();
    assert_int_equal(ledger.number, 1);
    assert_true(spawn_ledger_there(dir));
    scribe_ends();
    opens();
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(is_there(names[i]));
}

/* A scribe that is to make the first one may be slow. */
static void one_that_is_to_be_made_is_there(void **state)
{
    unsigned open = open_count();

    (void)state;
    assert_false(spawn_ledger_there(dir));
    spawn_ledger_mark(dir);
    assert_int_equal(open_count(), open);
    assert_true(spawn_ledger_there(dir));
    opens();
    assert_false(is_there("durable.first"));
    assert_true(spawn_ledger_there(dir));
}

static void nothing_is_there_without_a_directory(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rmdir %s", dir);
    assert_int_equal(system(command), 0);
    assert_false(spawn_ledger_there(dir));
    assert_int_equal(spawn_ledger_find(&ledger), 0);
    spawn_ledger_mark(dir);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(
        ledger.why, "durable.lock cannot be opened: No such file or directory");
    assert_int_equal(mkdir(dir, 0700), 0);
    opens();
}

/* No other file is named, or marked, for one that is too long. */
static void a_path_that_is_too_long_is_none(void **state)
{
    static char directory[PATH_MAX];
    char path[PATH_MAX] = "something";

    (void)state;
    memset(directory, 'd', PATH_MAX - 1);
    spawn_ledger_init(&ledger, directory);
    spawn_ledger_path(&ledger, path, "durable-%u.db", 1);
    assert_string_equal(path, "");
    directory[PATH_MAX - 2] = '\0';
    spawn_ledger_init(&ledger, directory);
    spawn_ledger_path(&ledger, path, "durable-%u.db", 1);
    assert_int_equal(strlen(path), PATH_MAX - 1);
    spawn_ledger_init(&ledger, dir);
}

/* Not by a part of the name either. */
static void none_is_marked_by_a_path_that_is_too_long(void **state)
{
    const size_t wanted = PATH_MAX - strlen("/durable.first");
    size_t length = strlen(dir);
    char path[PATH_MAX];

    (void)state;
    (void)strcpy(path, dir);
    while (length < wanted) {
        size_t more = wanted - length > 250 ? 200 : wanted - length - 1;

        path[length] = '/';
        memset(path + length + 1, 'd', more);
        length += more + 1;
        path[length] = '\0';
        assert_int_equal(mkdir(path, 0700), 0);
    }
    spawn_ledger_mark(path);
    assert_int_equal(rmdir(path), 0); /* it is empty */
}

static void the_lock_is_no_link(void **state)
{
    unsigned open = open_count();

    (void)state;
    assert_int_equal(symlink("elsewhere", path_of("durable.lock")), 0);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_non_null(strstr(ledger.why, "durable.lock cannot be opened"));
    assert_false(is_there("elsewhere"));
    assert_int_equal(ledger.lock, -1);
    assert_int_equal(open_count(), open);
}

static void the_lock_is_waited_for_and_kept(void **state)
{
    unsigned open = open_count();

    (void)state;
    fail_after(&disk->locks, 0, 2, EINTR);
    opens();
    assert_int_equal(disk->locks.done, 3);
    spawn_ledger_close(&ledger);
    opens();
    assert_int_equal(disk->locks.done, 3);
    assert_int_equal(puts_job(1, "one"), 0);
    scribe_ends();
    assert_int_equal(open_count(), open);
    fail_after(&disk->locks, 0, 1, ENOLCK);
    assert_int_equal(spawn_ledger_open(&ledger), -1);
    assert_string_equal(ledger.why,
                        "durable.lock cannot be locked: No locks available");
    assert_int_equal(open_count(), open);
    opens();
    assert_int_equal(disk->locks.done, 2);
}

/* A log that had to be long once is not so for ever. */
static void a_log_is_short_again(void **state)
{
    static uint8_t message[3 << 20];
    struct stat st;
    uint8_t n;

    (void)state;
    opens();
    for (n = 1; n <= 4; n++) { /* it is written back after each second */
        spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, n);

        r.length = sizeof(message);
        assert_int_equal(writes(&r, message, NULL), 0);
    }
    for (; n <= 6; n++)
        assert_int_equal(puts_job(n, "a small one"), 0);
    assert_int_equal(stat(path_of("durable-1.db-wal"), &st), 0);
    assert_in_range(st.st_size, 1, 2 * MIB);
}

/* ---- the copy ---- */

static void one_that_was_not_closed_is_copied(void **state)
{
    unsigned open = open_count();

    (void)state;
    a_scribe_was_killed();
    put_file("durable-1.db-shm", "");
    put_file("durable-2.new", "what a copy left that did not come to its end");
    opens();
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 0);
    two_jobs_are_there();
    assert_false(spawn_ledger_other_boot(&ledger));
    assert_false(is_there("durable-1.db"));
    assert_false(is_there("durable-1.db-wal"));
    assert_false(is_there("durable-1.db-shm"));
    assert_false(is_there("damaged-durable-1.db"));
    assert_false(is_there("durable-2.new"));
    assert_int_equal(puts_job(3, "three"), 0);
    scribe_ends();
    assert_int_equal(open_count(), open);
}

/* With all that it says of them; and the next job comes behind them. */
static void nothing_of_a_job_is_lost_with_it(void **state)
{
    spawn_ledger_record end = record_of(SPAWN_LEDGER_END, 1);
    spawn_ledger_record order = record_of(SPAWN_LEDGER_ORDER, 2);
    row_seen before[2];

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(puts_job(2, "two"), 0);
    end.alone = true;
    end.end.result_kind = 2;
    end.end.rusage_count = 2;
    end.end.rusage[0] = 3;
    end.end.rusage[1] = 4;
    end.end.ended_at = 5;
    assert_int_equal(writes(&end, NULL, "how it ended"), 0);
    assert_int_equal(writes(&order, NULL, NULL), 0);
    read_rows(true);
    memcpy(before, rows, sizeof(before));
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_int_equal(ledger.number, 2);
    assert_int_equal(puts_job(3, "three"), 0);
    read_rows(true);
    assert_int_equal(rows_count, 3);
    assert_memory_equal(rows, before, sizeof(before));
    assert_int_equal(rows[2].r.id.bytes[0], 3);
}

#define SET_BOOT(value)                                                        \
    "UPDATE meta SET value = '" value "' WHERE key = 'boot_id'"

static void a_copy_is_of_the_same_boot(void **state)
{
    (void)state;
    opens();
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_false(spawn_ledger_other_boot(&ledger));
    scribe_ends();
    change_file("durable-2.db", SET_BOOT("another"));
    opens();
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_int_equal(ledger.number, 3);
    assert_true(spawn_ledger_other_boot(&ledger));
    scribe_ends();
    change_file("durable-3.db", "DELETE FROM meta");
    opens();
    assert_int_equal(spawn_ledger_renew(&ledger), 0);
    assert_true(spawn_ledger_other_boot(&ledger));
}

/* ---- damage ---- */

static void a_damaged_one_is_set_aside(void **state)
{
    unsigned open = open_count();

    (void)state;
    a_scribe_has_ended();
    damage_a_little();
    put_file("durable-1.db-wal", "no log");
    put_file("durable-1.db-shm", "");
    opens();
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 1);
    assert_int_equal(ledger.kept, 2);
    two_jobs_are_there();
    assert_true(is_there("damaged-durable-1.db"));
    assert_true(is_there("damaged-durable-1.db-wal"));
    assert_false(is_there("durable-1.db"));
    assert_false(is_there("durable-1.db-wal"));
    assert_false(is_there("durable-1.db-shm"));
    scribe_ends();
    assert_int_equal(open_count(), open);
}

static void so_is_one_that_was_closed(void **state)
{
    (void)state;
    a_scribe_has_ended();
    damage_a_little();
    opens();
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 1);
    assert_int_equal(ledger.kept, 2);
    two_jobs_are_there();
    assert_true(is_there("damaged-durable-1.db"));
}

static void so_is_one_that_is_no_database(void **state)
{
    unsigned open = open_count();

    (void)state;
    a_scribe_has_ended();
    write_at("durable-1.db", 0, "not SQLite's own", 16);
    opens();
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 1);
    assert_int_equal(ledger.kept, 0);
    read_rows(true);
    assert_int_equal(rows_count, 0);
    assert_true(is_there("damaged-durable-1.db"));
    scribe_ends();
    assert_int_equal(open_count(), open);
}

/* Its table is gone. */
static void so_is_one_that_has_no_jobs(void **state)
{
    (void)state;
    a_scribe_has_ended();
    change_file("durable-1.db", "DROP TABLE job");
    put_file("durable-1.db-wal", "no log");
    opens();
    assert_int_equal(ledger.damaged, 1);
    assert_int_equal(ledger.kept, 0);
    assert_true(is_there("damaged-durable-1.db"));
}

/* The pages behind its first one, by which it goes on, lie nowhere. */
static void damage_the_message_of(uint8_t with)
{
    uint8_t page[4096];
    FILE *file = fopen(path_of("durable-1.db"), "r+e");
    long at;

    assert_non_null(file);
    for (at = 0;; at += (long)sizeof(page)) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_true(fread(page, sizeof(page), 1, file) == 1);
        if (page[4] == with && page[2000] == with && page[4000] == with)
            break;
    }
    (void)fclose(file);
    write_at("durable-1.db", at, "\377\377\377\377", 4);
}

static void one_of_three_is_damaged(void)
{
    static uint8_t message[3 * 4096 * 4];
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 3);

    a_scribe_has_ended();
    opens();
    memset(message, 0xab, sizeof(message));
    r.length = sizeof(message);
    assert_int_equal(writes(&r, message, NULL), 0);
    scribe_ends();
    damage_the_message_of(0xab);
}

static void two_of_three_are_kept(void)
{
    assert_int_equal(ledger.number, 2);
    assert_int_equal(ledger.damaged, 1);
    assert_int_equal(ledger.kept, 2);
    two_jobs_are_there();
    assert_true(is_there("damaged-durable-1.db"));
}

static void what_can_be_read_is_kept(void **state)
{
    (void)state;
    one_of_three_is_damaged();
    opens();
    two_of_three_are_kept();
}

/* Nobody has looked at all of it: that one is lost shows in the copy. */
static void so_it_is_of_a_long_one(void **state)
{
    (void)state;
    one_of_three_is_damaged();
    make_it_long();
    put_file("durable-1.db-wal", "no log");
    opens();
    two_of_three_are_kept();
}

#define MANY 120

static int64_t number(const char *sql)
{
    sqlite3_stmt *s;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(ledger.db, sql, -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return n;
}

static void a_page_of_many_is_damaged(void)
{
    uint8_t page[4096], message[300];
    spawn_ledger_record r;
    uint8_t n;
    FILE *file;
    long at;

    opens();
    for (n = 1; n <= MANY; n++) {
        r = record_of(SPAWN_LEDGER_PUT, n);
        memset(message, n, sizeof(message));
        r.length = sizeof(message);
        assert_int_equal(writes(&r, message, NULL), 0);
    }
    scribe_ends();
    memset(message, MANY / 2, sizeof(message));
    file = fopen(path_of("durable-1.db"), "r+e");
    assert_non_null(file);
    for (at = 0;; at += (long)sizeof(page)) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_true(fread(page, sizeof(page), 1, file) == 1);
        if (memmem(page, sizeof(page), message, sizeof(message)))
            break;
    }
    (void)fclose(file);
    write_at("durable-1.db", at, "", 1); /* no kind of page */
}

static void those_around_it_are_kept(void)
{
    assert_int_equal(ledger.damaged, 1);
    assert_in_range(ledger.kept, MANY * 3 / 4, MANY - 1);
    assert_int_equal(number("SELECT count(*) FROM job"), ledger.kept);
    assert_int_equal(number("SELECT min(seq) FROM job"), 1);
    assert_int_equal(number("SELECT max(seq) FROM job"), MANY);
    assert_true(is_there("damaged-durable-1.db"));
}

/* They are read from both ends. */
static void what_lies_behind_the_damage_is_kept(void **state)
{
    (void)state;
    a_page_of_many_is_damaged();
    opens();
    those_around_it_are_kept();
}

static void so_it_is_where_nobody_had_looked(void **state)
{
    (void)state;
    a_page_of_many_is_damaged();
    make_it_long();
    put_file("durable-1.db-wal", "no log");
    opens();
    those_around_it_are_kept();
}

/* Where its index was damaged, say. */
static void one_that_is_there_twice_is_kept_once(void **state)
{
    (void)state;
    a_scribe_has_ended();
    change_file("durable-1.db",
                "CREATE TABLE other AS SELECT * FROM job;"
                "DROP TABLE job; ALTER TABLE other RENAME TO job;"
                "INSERT INTO job SELECT * FROM job WHERE seq = 1;"
                "UPDATE job SET seq = 3 WHERE rowid = 3;");
    put_file("durable-1.db-wal", "no log");
    opens();
    assert_int_equal(ledger.number, 2);
    two_jobs_are_there();
}

/* A look at all pages would take long. */
static void a_long_one_is_not_looked_at(void **state)
{
    uint64_t inode;

    (void)state;
    a_scribe_has_ended();
    damage_a_little();
    make_it_long();
    inode = inode_of(path_of("durable-1.db"));
    opens();
    assert_int_equal(ledger.number, 1);
    assert_int_equal(inode_of(path_of("durable-1.db")), inode);
    two_jobs_are_there();
}

/* ---- not ours ---- */

static void it_is_refused(const char *why)
{
    const uint64_t inode = inode_of(path_of("durable-1.db"));
    unsigned open, i;

    for (i = 0; i < 2; i++) { /* and again */
        assert_int_equal(spawn_ledger_open(&ledger), -1);
        assert_string_equal(ledger.why, why);
        assert_null(ledger.db);
        if (i == 0)
            open = open_count();
    }
    assert_int_equal(open_count(), open);
    assert_int_equal(inode_of(path_of("durable-1.db")), inode);
    assert_false(is_there("durable-2.db"));
}

static void one_of_a_newer_release_is_left_alone(void **state)
{
    (void)state;
    a_scribe_has_ended();
    change_file("durable-1.db", "PRAGMA user_version=2");
    it_is_refused("durable-1.db was written by a newer mod_spawn (layout 2, "
                  "this one knows 1)");
    change_file("durable-1.db", "PRAGMA user_version=1");
    opens();
    assert_int_equal(ledger.number, 1);
    two_jobs_are_there();
}

/* Also when its last scribe was killed. */
static void so_it_is_when_it_was_not_closed(void **state)
{
    (void)state;
    a_scribe_has_ended();
    change_file("durable-1.db", "PRAGMA user_version=2");
    put_file("durable-1.db-wal", "no log");
    it_is_refused("durable-1.db was written by a newer mod_spawn (layout 2, "
                  "this one knows 1)");
}

static void one_of_another_program_is_left_alone(void **state)
{
    const char *why = "durable-1.db is the database of another program";

    (void)state;
    a_scribe_has_ended();
    change_file("durable-1.db", "PRAGMA application_id=1");
    it_is_refused(why);
    change_file("durable-1.db", "PRAGMA application_id=0");
    it_is_refused(why);
    change_file("durable-1.db",
                "PRAGMA application_id=1936748132; PRAGMA user_version=0");
    it_is_refused(why);
}

static void one_that_is_no_file_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("durable-1.db"), 0700), 0);
    it_is_refused("it cannot be opened: unable to open database file: "
                  "Is a directory");
    put_file("durable-1.db-wal", "no log");
    it_is_refused("it cannot be opened: unable to open database file: "
                  "Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(one_that_was_closed_is_opened),
        LEDGER_TEST(the_highest_counts_and_others_go),
        LEDGER_TEST(other_names_are_none),
        LEDGER_TEST(one_that_is_to_be_made_is_there),
        LEDGER_TEST(nothing_is_there_without_a_directory),
        LEDGER_TEST(a_path_that_is_too_long_is_none),
        LEDGER_TEST(none_is_marked_by_a_path_that_is_too_long),
        LEDGER_TEST(the_lock_is_no_link),
        LEDGER_TEST(the_lock_is_waited_for_and_kept),
        LEDGER_TEST(a_log_is_short_again),
        LEDGER_TEST(one_that_was_not_closed_is_copied),
        LEDGER_TEST(nothing_of_a_job_is_lost_with_it),
        LEDGER_TEST(a_copy_is_of_the_same_boot),
        LEDGER_TEST(a_damaged_one_is_set_aside),
        LEDGER_TEST(so_is_one_that_was_closed),
        LEDGER_TEST(so_is_one_that_is_no_database),
        LEDGER_TEST(so_is_one_that_has_no_jobs),
        LEDGER_TEST(what_can_be_read_is_kept),
        LEDGER_TEST(so_it_is_of_a_long_one),
        LEDGER_TEST(what_lies_behind_the_damage_is_kept),
        LEDGER_TEST(so_it_is_where_nobody_had_looked),
        LEDGER_TEST(one_that_is_there_twice_is_kept_once),
        LEDGER_TEST(a_long_one_is_not_looked_at),
        LEDGER_TEST(one_of_a_newer_release_is_left_alone),
        LEDGER_TEST(so_it_is_when_it_was_not_closed),
        LEDGER_TEST(one_of_another_program_is_left_alone),
        LEDGER_TEST(one_that_is_no_file_is_left_alone),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
