/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that are kept for a broker's start: as many as it needs, free
 * when it is started, and there again afterwards, as far as there are some.
 */
#define PART_HAS_RESERVE
#include "t/unit/spawner_part.h"

#include <sys/eventfd.h>

#include "spawner/reserve.c"

static int neighbour; /* a field behind them in the spawner's state */

static int start(void **state)
{
    (void)state;
    no_state();
    spawner.signals = eventfd(0, EFD_CLOEXEC);
    neighbour = spawner.suid_dumpable = dup(spawner.signals);
    return neighbour < 0 ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    spawn_close_fds(spawner.reserve, SPAWNER_RESERVE);
    spawn_close_fds(&spawner.signals, 1);
    return close(neighbour);
}

static void they_are_there_and_then_free(void **state)
{
    unsigned before = open_count(), i;

    (void)state;
    reserve_fill();
    assert_int_equal(open_count(), before + SPAWNER_RESERVE);
    for (i = 0; i < SPAWNER_RESERVE; i++)
        assert_int_equal(fcntl(spawner.reserve[i], F_GETFD), FD_CLOEXEC);
    reserve_fill(); /* once */
    assert_int_equal(open_count(), before + SPAWNER_RESERVE);
    reserve_use();
    assert_int_equal(open_count(), before);
    reserve_fill();
    assert_int_equal(open_count(), before + SPAWNER_RESERVE);
}

static void nothing_else_is_closed(void **state)
{
    (void)state;
    reserve_use(); /* there never was one */
    assert_true(is_open(0));
    reserve_fill();
    reserve_use();
    assert_int_equal(spawner.suid_dumpable, neighbour);
    assert_true(is_open(neighbour));
    assert_true(is_open(spawner.signals));
}

static void no_more_are_kept_than_are_needed(void **state)
{
    (void)state;
    spawner.suid_dumpable = -1;
    reserve_fill();
    assert_int_equal(spawner.suid_dumpable, -1);
}

static void what_there_was_not_comes_later(void **state)
{
    unsigned before = open_count();
    struct rlimit files, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    reserve_fill();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(open_count(), before);
    reserve_use();
    reserve_fill();
    assert_int_equal(open_count(), before + SPAWNER_RESERVE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(they_are_there_and_then_free),
        T(nothing_else_is_closed),
        T(no_more_are_kept_than_are_needed),
        T(what_there_was_not_comes_later),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_reserve", tests, NULL, NULL);
}
