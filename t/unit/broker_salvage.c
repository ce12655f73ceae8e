/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that was set aside is read for as long as was asked for, however much
 * is in it. Links the broker's rooms up to the store.
 */
#include "t/unit/broker_world.h"

#include <sqlite3.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/salvage.h"

/* In place of the C library's: each look is a millisecond later. */
static int64_t looks;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, ret);
    looks++;
    ret->tv_sec = 1000 + looks / 1000;
    ret->tv_nsec = looks % 1000 * 1000000;
    return 0;
}

static world one;

/* So many rows that they take some hundred looks. */
static int set_up(void **s)
{
    char from[100], to[100];
    sqlite3 *db;

    (void)s;
    begin(&one);
    spawn_store_close(one.store);
    (void)snprintf(from, sizeof(from), "%s/jobs.db", one.directory);
    (void)snprintf(to, sizeof(to), "%s/jobs.db.damaged-20260101-120000",
                   one.directory);
    assert_int_equal(sqlite3_open(from, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 60000)"
                     " INSERT INTO job(id, queue, state, digest, fds,"
                     " submitted_at, body)"
                     " SELECT randomblob(16), 'q', 4, 1, 0, 1, x'00' FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    (void)sqlite3_close(db);
    assert_int_equal(rename(from, to), 0);
    open_store(&one);
    return 0;
}

static int tear_down(void **s)
{
    (void)s;
    end(&one);
    return 0;
}

/* How many looks a job takes that is not there. */
static int64_t look_for(int64_t most_ms)
{
    spawn_salvage salvage;
    spawn_salvaged row;
    int64_t before;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    before = looks;
    spawn_salvage_begin(one.store, most_ms, &salvage);
    assert_true(salvage.there);
    assert_non_null(salvage.db);
    assert_false(spawn_salvage_job(&salvage, &id, &row));
    spawn_salvage_end(&salvage);
    return looks - before;
}

static void test_it_is_read_so_long(void **s)
{
    int64_t whole;

    (void)s;
    whole = look_for(100000);
    assert_in_range(whole, 100, 90000);
    assert_in_range(look_for(50), 50, 60);
    assert_in_range(look_for(10), 10, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_read_so_long, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
