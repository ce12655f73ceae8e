/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's timers: they fire in the order of their deadlines, each once,
 * not before, and not when cleared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "broker/base/alloc.c"
#include "broker/base/array.c"
#include "broker/base/timer.c"

#define MANY 1000

static spawn_timer timers[MANY];
static int64_t last;
static unsigned fired;

static void note(spawn_timer *t)
{
    assert_int_equal(t->place, 0);
    assert_true(t->at >= last);
    last = t->at;
    fired++;
}

static void start(void)
{
    unsigned i;

    last = -1;
    fired = 0;
    srand(1);
    for (i = 0; i < MANY; i++) {
        timers[i].fire = note;
        spawn_timer_set(&timers[i], rand() % 500);
    }
}

static void fire_in_order(void **state)
{
    (void)state;
    start();
    spawn_timers_run(500);
    assert_int_equal(fired, MANY);
    assert_int_equal(spawn_timer_next(), -1);
}

static void fire_when_due(void **state)
{
    (void)state;
    start();
    spawn_timers_run(249);
    assert_true(fired > 0 && fired < MANY);
    assert_true(last <= 249);
    assert_true(spawn_timer_next() > 249);
    spawn_timers_run(500);
    assert_int_equal(fired, MANY);
}

static void cleared_and_moved(void **state)
{
    unsigned i;

    (void)state;
    start();
    for (i = 0; i < MANY; i += 3)
        spawn_timer_clear(&timers[i]);
    for (i = 1; i < MANY; i += 3)
        spawn_timer_set(&timers[i], 1000 + (int64_t)(i % 7));
    spawn_timers_run(999);
    assert_int_equal(fired, MANY / 3);
    spawn_timers_run(2000);
    assert_int_equal(fired, 2 * (MANY / 3));
    assert_int_equal(spawn_timer_next(), -1);
}

static spawn_timer again;
static unsigned times;

static void set_again(spawn_timer *t)
{
    if (++times < 3)
        spawn_timer_set(t, t->at + 10);
}

static void may_set_itself(void **state)
{
    (void)state;
    again.fire = set_again;
    spawn_timer_set(&again, 5);
    spawn_timers_run(16);
    assert_int_equal(times, 2);
    assert_int_equal(spawn_timer_next(), 25);
    spawn_timers_run(25);
    assert_int_equal(times, 3);
    assert_int_equal(spawn_timer_next(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fire_in_order),
        cmocka_unit_test(fire_when_due),
        cmocka_unit_test(cleared_and_moved),
        cmocka_unit_test(may_set_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
