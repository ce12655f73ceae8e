/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that cannot be watched any more, as when the kernel has no room:
 * callers who come and go at will can have that happen, so that the log tells
 * of some. Links the room base of the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/loop.h"
#include "t/unit/log_lines.h"

static void nothing(spawn_watch *w, int events)
{
    (void)w, (void)events;
}

/* It is closed behind the loop's back: the kernel does not take it. */
static void many_fail(void)
{
    spawn_watch w;
    int ends[2], i;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(spawn_watch_open(&w, ends[0], SPAWN_IN, nothing), 0);
    (void)close(ends[0]);
    for (i = 0; i < 100; i++)
        spawn_watch_events(&w, i % 2 ? SPAWN_IN : SPAWN_GONE);
    (void)close(ends[1]);
}

static void some_are_told(void **state)
{
    (void)state;
    assert_int_equal(spawn_loop_init(), 0);
    assert_in_range(lines_of("MS0501: ", many_fail), 1, 2 * SPAWN_LOG_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(some_are_told)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
