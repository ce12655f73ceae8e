/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger is trimmed of old ends, but of none that the store does not have.
 * Links the broker's store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/store/ledger.h"
#include "common/spawn_wire.h"

#define OLD 1000

static spawn_ledger ledger;
static char dir[] = "/tmp/spawn-ledger-XXXXXX";
static unsigned seen;

static void writes(const spawn_ledger_record *r, const void *message)
{
    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    assert_int_equal(spawn_ledger_write(&ledger, r, message, NULL, 0), 0);
    assert_int_equal(spawn_ledger_commit(&ledger), 0);
}

/* A job whose end is old. */
static void has_ended(uint8_t number, bool alone)
{
    static const uint8_t message[SPAWN_WIRE_HEADER + 1];
    spawn_ledger_record r = {.type = SPAWN_LEDGER_PUT,
                             .length = sizeof(message)};

    r.id.bytes[0] = number;
    writes(&r, message);
    r.type = SPAWN_LEDGER_END;
    r.alone = alone;
    r.end.ended_at = OLD;
    writes(&r, NULL);
}

static void count(void *of, const spawn_ledger_record *r, const void *message,
                  const char *text)
{
    (void)of, (void)message, (void)text;
    assert_int_equal(r->id.bytes[0], 2);
    assert_true(r->alone);
    seen++;
}

static void expect_the_one_alone(bool all)
{
    seen = 0;
    assert_int_equal(spawn_ledger_rows(&ledger, all, count, NULL), 0);
    assert_int_equal(seen, 1);
}

static void an_end_that_the_ledger_alone_has_stays(void **state)
{
    const spawn_ledger_record by_time = {.type = SPAWN_LEDGER_TRIM,
                                         .before = OLD + 1};
    const spawn_ledger_record by_size = {
        .type = SPAWN_LEDGER_TRIM, .newest = OLD + 1, .size = 1};

    (void)state;
    has_ended(1, false);
    has_ended(2, true);
    writes(&by_time, NULL);
    expect_the_one_alone(true);
    has_ended(1, false);
    writes(&by_size, NULL);
    expect_the_one_alone(true);
}

/* Else ends are told after another boot only. */
static void it_is_told_within_a_boot(void **state)
{
    (void)state;
    has_ended(1, false);
    has_ended(2, true);
    expect_the_one_alone(false);
}

#define MANY 150

/* One after another; the last one is the youngest. */
static void many_have_ended(void)
{
    static const uint8_t message[4000];
    spawn_ledger_record r = {.type = SPAWN_LEDGER_PUT};
    unsigned i;

    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    for (i = 1; i <= MANY; i++) {
        r.type = SPAWN_LEDGER_PUT;
        r.id.bytes[0] = (uint8_t)i;
        r.length = sizeof(message);
        assert_int_equal(spawn_ledger_write(&ledger, &r, message, NULL, 0), 0);
        r.type = SPAWN_LEDGER_END;
        r.end.ended_at = OLD + i;
        assert_int_equal(spawn_ledger_write(&ledger, &r, NULL, NULL, 0), 0);
    }
    assert_int_equal(spawn_ledger_commit(&ledger), 0);
}

static unsigned oldest; /* of those that are there */

static void count_all(void *of, const spawn_ledger_record *r,
                      const void *message, const char *text)
{
    (void)of, (void)message, (void)text;
    if (seen++ == 0)
        oldest = r->id.bytes[0];
}

static unsigned how_many(void)
{
    seen = 0;
    assert_int_equal(spawn_ledger_rows(&ledger, true, count_all, NULL), 0);
    return seen;
}

static uint64_t size_now(void)
{
    sqlite3_stmt *s;
    uint64_t size;

    assert_int_equal(
        sqlite3_prepare_v2(ledger.db,
                           "SELECT (page_count - freelist_count) * page_size"
                           " FROM pragma_page_count, pragma_freelist_count,"
                           " pragma_page_size",
                           -1, &s, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    size = (uint64_t)sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return size;
}

static void it_takes_no_more_room_than_it_may(void **state)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_TRIM};
    uint64_t size;
    unsigned i;

    (void)state;
    many_have_ended();
    size = size_now();
    r.newest = OLD + MANY + 1;
    writes(&r, NULL); /* it may take any */
    assert_int_equal(how_many(), MANY);
    r.size = size;
    writes(&r, NULL);
    assert_int_equal(how_many(), MANY);
    r.size = size - 1;
    writes(&r, NULL);
    assert_in_range(how_many(), 1, MANY - 1);  /* some at a time, */
    assert_int_equal(oldest, MANY - seen + 1); /* and the oldest first */
    r.size = 1;
    for (i = 0; i < 3; i++)
        writes(&r, NULL);
    assert_int_equal(how_many(), 0);
}

/* The store may not have had it for long. */
static void but_what_has_just_ended_stays(void **state)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_TRIM, .size = 1};
    unsigned i;

    (void)state;
    many_have_ended();
    r.newest = OLD + MANY;
    for (i = 0; i < 3; i++)
        writes(&r, NULL);
    assert_int_equal(how_many(), 1);
    assert_int_equal(oldest, MANY);
}

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/spawn-ledger-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    spawn_ledger_init(&ledger, dir);
    return spawn_ledger_open(&ledger);
}

static int tear_down(void **state)
{
    static const char *const names[] = {"durable-1.db", "durable-1.db-wal",
                                        "durable-1.db-shm", "durable.lock"};
    char path[80];
    size_t i;

    (void)state;
    spawn_ledger_close(&ledger);
    if (ledger.lock >= 0)
        (void)close(ledger.lock);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_end_that_the_ledger_alone_has_stays),
        TEST(it_is_told_within_a_boot),
        TEST(it_takes_no_more_room_than_it_may),
        TEST(but_what_has_just_ended_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
