/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's log cannot be written back: on a full disk outputs and old jobs
 * go for that, and on one that fails none. In one process (broker_world.h), on
 * a disk that fails as it is told to.
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>

static world w;
static sqlite3_vfs vfs;
static const sqlite3_io_methods *real;
static sqlite3_io_methods ours;
static int (*real_open)(sqlite3_vfs *of, const char *name, sqlite3_file *file,
                        int flags, int *ret_flags);
static int database_says; /* when it is written; 0: what the disk says */

static int write_database(sqlite3_file *file, const void *data, int length,
                          sqlite3_int64 at)
{
    return database_says ? database_says : real->xWrite(file, data, length, at);
}

static int open_file(sqlite3_vfs *of, const char *name, sqlite3_file *file,
                     int flags, int *ret_flags)
{
    int rv = real_open(of, name, file, flags, ret_flags);

    if (rv || !(flags & SQLITE_OPEN_MAIN_DB))
        return rv;
    real = file->pMethods;
    ours = *real;
    ours.xWrite = write_database;
    file->pMethods = &ours;
    return 0;
}

static int setup(void **s)
{
    (void)s;
    vfs = *sqlite3_vfs_find(NULL);
    real_open = vfs.xOpen;
    vfs.xOpen = open_file;
    vfs.zName = "failing";
    vfs.pNext = NULL;
    database_says = 0;
    if (sqlite3_vfs_register(&vfs, 1))
        return -1;
    begin(&w);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    database_says = 0;
    end(&w);
    return sqlite3_vfs_unregister(&vfs);
}

/* So much that the log is to be written back. */
static void much_is_stored(void)
{
    assert_int_equal(
        sqlite3_exec(w.store->db,
                     "CREATE TABLE much(data);"
                     "INSERT INTO much VALUES(randomblob(4000000))",
                     NULL, NULL, NULL),
        SQLITE_OK);
}

static void a_full_disk_is_to_get_room(void **s)
{
    (void)s;
    database_says = SQLITE_FULL;
    much_is_stored();
    assert_true(spawn_store_wrote_much(w.store));
}

static void one_that_fails_is_not(void **s)
{
    (void)s;
    database_says = SQLITE_IOERR_WRITE;
    much_is_stored();
    assert_false(spawn_store_wrote_much(w.store));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_is_to_get_room),
        TEST(one_that_fails_is_not),
    };

    return cmocka_run_group_tests_name("checkpoint_fails", tests, NULL, NULL);
}
