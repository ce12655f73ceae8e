/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures that are reckoned from the broker's numbers: how long so many of a
 * hundred lasted, within a bucket, at its bound, over the last one, of nothing;
 * and the sums of an hour. Bounds and counts of a broken broker reckon nothing
 * wild.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/meters.h"

static const spawn_times ten = {
    .count = 10, .bounds = 3, .of = {{1000, 0}, {2000, 5}, {4000, 9}}};

static void test_within_a_bucket(void **state)
{
    uint64_t us = 0;

    (void)state;
    assert_int_equal(spawn_times_quantile(&ten, 50, &us), 1);
    assert_int_equal(us, 2000);
    assert_int_equal(spawn_times_quantile(&ten, 20, &us), 1);
    assert_int_equal(us, 1400);
    assert_int_equal(spawn_times_quantile(&ten, 70, &us), 1);
    assert_int_equal(us, 3000);
}

static void test_over_the_last(void **state)
{
    uint64_t us = 0;

    (void)state;
    assert_int_equal(spawn_times_quantile(&ten, 95, &us), -1);
    assert_int_equal(us, 4000);
}

static void test_of_nothing(void **state)
{
    const spawn_times none = {.bounds = 2, .of = {{1, 0}, {2, 0}}};
    const spawn_times untold = {.count = 3};
    uint64_t us = 77;

    (void)state;
    assert_int_equal(spawn_times_quantile(&none, 50, &us), 0);
    assert_int_equal(spawn_times_quantile(&untold, 50, &us), 0);
    assert_int_equal(us, 77);
}

static void test_bounds_that_go_back(void **state)
{
    const spawn_times wild = {
        .count = 4, .bounds = 2, .of = {{5000, 1}, {10, 4}}};
    uint64_t us = 0;

    (void)state;
    assert_int_equal(spawn_times_quantile(&wild, 95, &us), 1);
    assert_int_equal(us, 10);
}

static void test_an_hour(void **state)
{
    spawn_meter_row row;
    uint64_t ended, failed;

    (void)state;
    memset(&row, 0, sizeof(row));
    row.minutes[0].ended = 3;
    row.minutes[0].failed = 1;
    row.minutes[SPAWN_TIMES_MINUTES - 1].ended = 4;
    spawn_meter_hour(&row, &ended, &failed);
    assert_int_equal(ended, 7);
    assert_int_equal(failed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_a_bucket),
        cmocka_unit_test(test_over_the_last),
        cmocka_unit_test(test_of_nothing),
        cmocka_unit_test(test_bounds_that_go_back),
        cmocka_unit_test(test_an_hour),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
