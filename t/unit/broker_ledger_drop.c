/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are dropped from the ledger: one that was refused, and one that is
 * forgotten; but no other one of the same id. Links the broker's store.
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

static spawn_ledger ledger;
static char dir[] = "/tmp/spawn-ledger-XXXXXX";
static unsigned seen;

static void writes(spawn_ledger_type type, unsigned state)
{
    static const uint8_t message[SPAWN_WIRE_HEADER + 1];
    const bool has_message = type == SPAWN_LEDGER_PUT;
    spawn_ledger_record r = {.type = (uint16_t)type,
                             .state = (uint16_t)state,
                             .attempt = 1,
                             .length = has_message ? sizeof(message) : 0};

    r.id.bytes[0] = 1;
    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    assert_int_equal(
        spawn_ledger_write(&ledger, &r, has_message ? message : NULL, NULL, 0),
        0);
    assert_int_equal(spawn_ledger_commit(&ledger), 0);
}

static void count(void *of, const spawn_ledger_record *r, const void *message,
                  const char *text)
{
    (void)of, (void)r, (void)message, (void)text;
    seen++;
}

static bool is_there(void)
{
    seen = 0;
    assert_int_equal(spawn_ledger_rows(&ledger, true, count, NULL), 0);
    return seen == 1;
}

static void one_that_waits_is_dropped_when_it_is_refused(void **state)
{
    (void)state;
    writes(SPAWN_LEDGER_PUT, 0);
    writes(SPAWN_LEDGER_DROP, SPAWN_LEDGER_IS_ENDED);
    assert_true(is_there());
    writes(SPAWN_LEDGER_DROP, SPAWN_LEDGER_IS_WAITING);
    assert_false(is_there());
}

/* The refused job has the id of one that only the ledger knows. */
static void one_that_has_started_is_not(void **state)
{
    (void)state;
    writes(SPAWN_LEDGER_PUT, 0);
    writes(SPAWN_LEDGER_ORDER, 0);
    writes(SPAWN_LEDGER_DROP, SPAWN_LEDGER_IS_WAITING);
    assert_true(is_there());
    writes(SPAWN_LEDGER_END, 0);
    writes(SPAWN_LEDGER_DROP, SPAWN_LEDGER_IS_WAITING);
    assert_true(is_there());
    writes(SPAWN_LEDGER_DROP, SPAWN_LEDGER_IS_ENDED);
    assert_false(is_there());
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    spawn_ledger_init(&ledger, dir);
    return spawn_ledger_open(&ledger);
}

static int tear_down(void **state)
{
    char command[64];

    (void)state;
    spawn_ledger_close(&ledger);
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_waits_is_dropped_when_it_is_refused),
        cmocka_unit_test(one_that_has_started_is_not),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
