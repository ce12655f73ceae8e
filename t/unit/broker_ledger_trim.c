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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
