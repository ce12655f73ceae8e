/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a store is not set aside: the disk does not give it, a newer release
 * wrote it, or too many were set aside before; and that none of these is lost.
 * Links the broker's rooms up to the store (the rest: broker_damaged_store.c).
 */
#include "t/unit/broker_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

static off_t bad_from; /* 0: the disk is good */
static unsigned bad_reads;

/* In place of the C library's, for SQLite, too. */
static ssize_t read_at(int fd, void *data, size_t length, off_t at)
{
    if (bad_from > 0 && at >= bad_from && bad_reads > 0) {
        bad_reads--;
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, data, length, at);
}

ssize_t pread(int fd, void *data, size_t length, off_t at)
{
    return read_at(fd, data, length, at);
}

ssize_t pread64(int fd, void *data, size_t length, off_t at)
{
    return read_at(fd, data, length, at);
}

static time_t now;

time_t time(time_t *ret)
{
    if (ret)
        *ret = now;
    return now;
}

/* In place of the C library's: a directory that cannot be read, or written. */
static bool no_list, no_rename;
static int renames_left; /* -1: no matter */

DIR *opendir(const char *path)
{
    int fd = -1;

    if (!no_list)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    else
        errno = EIO;
    return fd < 0 ? NULL : fdopendir(fd);
}

int rename(const char *from, const char *to)
{
    if (no_rename || renames_left == 0) {
        errno = EIO;
        return -1;
    }
    if (renames_left > 0)
        renames_left--;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static world one;
static spawn_failure why;

static int set_up(void **s)
{
    (void)s;
    bad_from = 0;
    no_list = no_rename = false;
    renames_left = -1;
    now = 1700000000; /* 20231114-221320 */
    begin(&one);
    (void)submit(&one);
    {
        spawn_committed committed;

        assert_true(spawn_commit(&one.batch, &committed));
        spawn_job_settled(spawn_batch_take(&one.batch, committed.written));
    }
    spawn_store_close(one.store);
    return 0;
}

static int tear_down(void **s)
{
    (void)s;
    end(&one);
    return 0;
}

static int open_it(void)
{
    bool full;

    memset(&why, 0, sizeof(why));
    return spawn_store_open(one.store, one.directory, &why, &full);
}

static void run_sql(const char *sql)
{
    char name[100];
    sqlite3 *db;

    (void)snprintf(name, sizeof(name), "%s/jobs.db", one.directory);
    assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void damage(void)
{
    char name[100], bytes[4096];
    int fd;

    memset(bytes, 'x', sizeof(bytes));
    (void)snprintf(name, sizeof(name), "%s/jobs.db", one.directory);
    fd = open(name, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    (void)close(fd);
}

static void make(const char *name)
{
    char path[200];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", one.directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "of before", 9), 9);
    (void)close(fd);
}

static size_t set_aside_are(void)
{
    char pattern[100];
    glob_t found;
    size_t count;

    (void)snprintf(pattern, sizeof(pattern), "%s/jobs.db.damaged-*",
                   one.directory);
    memset(&found, 0, sizeof(found));
    (void)glob(pattern, 0, NULL, &found);
    count = found.gl_pathc;
    globfree(&found);
    return count;
}

static unsigned jobs;

static void count_one(spawn_batch *batch, const spawn_open_row *row)
{
    (void)batch;
    (void)row;
    jobs++;
}

static void expect_its_job(void)
{
    jobs = 0;
    assert_int_equal(spawn_store_open_jobs(&one.batch, count_one), 0);
    assert_int_equal(jobs, 1);
}

static void test_what_the_disk_does_not_give_is_no_damage(void **s)
{
    unsigned told = 0;

    (void)s;
    for (bad_from = 4096; bad_from < 9 * 4096; bad_from += 4096) {
        bad_reads = 1000000;
        if (open_it() == 0) { /* it has read nothing from there */
            spawn_store_close(one.store);
            continue;
        }
        assert_int_equal(set_aside_are(), 0);
        assert_false(one.store->full);
        told += strstr(why.text, "cannot be read: Input/output error") != NULL;
    }
    assert_true(told > 0);
    bad_from = 0;
    assert_int_equal(open_it(), 0);
    expect_its_job();
}

static void test_nor_is_what_it_does_not_give_once(void **s)
{
    (void)s;
    for (bad_from = 4096; bad_from < 9 * 4096; bad_from += 4096) {
        bad_reads = 1;
        if (open_it() == 0)
            spawn_store_close(one.store);
        assert_int_equal(set_aside_are(), 0);
    }
    bad_from = 0;
    assert_int_equal(open_it(), 0);
    expect_its_job();
}

/* With words in its layout that only a newer SQLite knows. */
static void test_store_of_a_newer_layout_is_left(void **s)
{
    (void)s;
    run_sql("PRAGMA writable_schema=ON;"
            "UPDATE sqlite_master SET sql = 'CREATE TABLE meta(a) OF TOMORROW'"
            " WHERE name = 'meta';"
            "PRAGMA user_version=99;");
    assert_int_equal(open_it(), -1);
    assert_non_null(strstr(why.text, "newer mod_spawn (layout 99,"));
    assert_int_equal(set_aside_are(), 0);
}

static void test_so_many_are_kept_and_no_more(void **s)
{
    char name[60];
    int i;

    (void)s;
    for (i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof(name), "jobs.db.damaged-2022010%d-120000",
                       i + 1);
        make(name);
    }
    damage();
    assert_int_equal(open_it(), 0);
    assert_int_equal(set_aside_are(), 5);
    spawn_store_close(one.store);
    damage();
    now += 5;
    assert_int_equal(open_it(), -1);
    assert_non_null(strstr(why.text, "damaged again, and 5 were set aside"));
    assert_int_equal(set_aside_are(), 5);
}

/* SQLite leaves these where somebody looks at one. */
static void test_what_lies_beside_one_is_not_counted(void **s)
{
    static const char *const names[] = {"-wal", "-shm", "-journal", ".old",
                                        "0"};
    char name[80];
    size_t i;

    (void)s;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(name, sizeof(name), "jobs.db.damaged-20220101-120000%s",
                       names[i]);
        make(name);
    }
    make("jobs.db.damaged-");
    make("jobs.db.damaged-2022");
    damage();
    assert_int_equal(open_it(), 0);
    assert_int_equal(set_aside_are(), 8);
}

/* Nobody knows how many there are. */
static void test_none_is_where_they_cannot_be_counted(void **s)
{
    (void)s;
    damage();
    no_list = true;
    assert_int_equal(open_it(), -1);
    assert_int_equal(set_aside_are(), 0);
    no_list = false;
    assert_int_equal(open_it(), 0);
    assert_int_equal(set_aside_are(), 1);
}

/* No empty one takes the place of one that is still there. */
static void test_none_is_that_cannot_be_renamed(void **s)
{
    (void)s;
    damage();
    no_rename = true;
    assert_int_equal(open_it(), -1);
    assert_int_equal(set_aside_are(), 0);
    no_rename = false;
    assert_int_equal(open_it(), 0);
    assert_int_equal(set_aside_are(), 1);
}

static int next_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)close(fd);
    return fd;
}

static void test_nothing_is_left_open(void **s)
{
    int before = next_descriptor();

    (void)s;
    damage();
    assert_int_equal(open_it(), 0);
    spawn_store_close(one.store);
    assert_int_equal(next_descriptor(), before);
    damage();
    now += 1;
    assert_int_equal(open_it(), 0);
    spawn_store_close(one.store);
    assert_int_equal(next_descriptor(), before);
}

static void test_one_of_the_same_second_is_kept(void **s)
{
    char path[200], bytes[9];
    int fd;

    (void)s;
    make("jobs.db.damaged-20231114-221320");
    damage();
    assert_int_equal(open_it(), -1);
    assert_int_equal(set_aside_are(), 1);
    (void)snprintf(path, sizeof(path), "%s/jobs.db.damaged-20231114-221320",
                   one.directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 9);
    assert_memory_equal(bytes, "of before", 9);
    (void)close(fd);
    now += 1;
    assert_int_equal(open_it(), 0);
    assert_int_equal(set_aside_are(), 2);
}

static void first_page(char *bytes, bool write_it)
{
    char name[100];
    int fd;

    (void)snprintf(name, sizeof(name), "%s/jobs.db", one.directory);
    fd = open(name, O_RDWR | O_CLOEXEC);
    if (write_it && fd < 0)
        return;
    assert_true(fd >= 0);
    assert_int_equal(write_it ? pwrite(fd, bytes, 4096, 0)
                              : pread(fd, bytes, 4096, 0),
                     4096);
    (void)close(fd);
}

/* It ends after so many files, as one that is killed; what was damaged was in
 * another one of them, or can be read again. The store is not taken for right
 * without its log and its notes. */
static void test_one_that_is_half_aside_is_none(void **s)
{
    char bytes[4096];
    int n;

    for (n = 1; n <= 4; n++) {
        first_page(bytes, false);
        make("jobs.db-wal");
        make("jobs.db-shm");
        make("jobs.db-journal");
        make("launches");
        damage();
        renames_left = n;
        assert_true(open_it() < 0);
        renames_left = -1;
        first_page(bytes, true);
        now++;
        assert_int_equal(open_it(), 0);
        jobs = 0;
        assert_int_equal(spawn_store_open_jobs(&one.batch, count_one), 0);
        assert_int_equal(jobs, 0);
        (void)tear_down(s);
        (void)set_up(s);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_the_disk_does_not_give_is_no_damage),
        TEST(test_nor_is_what_it_does_not_give_once),
        TEST(test_store_of_a_newer_layout_is_left),
        TEST(test_so_many_are_kept_and_no_more),
        TEST(test_what_lies_beside_one_is_not_counted),
        TEST(test_one_of_the_same_second_is_kept),
        TEST(test_none_is_where_they_cannot_be_counted),
        TEST(test_none_is_that_cannot_be_renamed),
        TEST(test_nothing_is_left_open),
        TEST(test_one_that_is_half_aside_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
