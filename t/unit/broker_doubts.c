/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a caller is told when a job is refused that may have run. Links
 * caller/doubt.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/caller/doubt.h"

static spawn_failure why;

static int set_up(void **state)
{
    (void)state;
    spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_STORE, ENOSPC,
                      "the disk is full");
    return 0;
}

static void expect_as_it_was(void)
{
    assert_int_equal(why.code, SPAWN_E_STORE);
    assert_string_equal(why.text, "the disk is full");
}

static void expect_doubt(void)
{
    char text[100];

    (void)snprintf(text, sizeof(text),
                   "the job may have run, which cannot be told now (%s): "
                   "the disk is full",
                   spawn_error_name(SPAWN_E_STORE));
    assert_int_equal(why.code, SPAWN_E_UNCONFIRMED);
    assert_int_equal(why.step, SPAWN_STEP_STORE);
    assert_int_equal(why.error, ENOSPC);
    assert_string_equal(why.text, text);
}

static void it_keeps_its_reason(void **state)
{
    (void)state;
    spawn_doubt(&why);
    expect_doubt();
}

/* It is said once, however many there are that know of it. */
static void what_is_in_doubt_stays_as_it_is(void **state)
{
    (void)state;
    spawn_doubt(&why);
    spawn_doubt(&why);
    expect_doubt();
}

static void who_has_lost_no_worker_is_in_no_doubt(void **state)
{
    spawn_peer peer = {.lease_lost = false};

    (void)state;
    spawn_doubt_refused(&peer, &why);
    expect_as_it_was();
}

/* The next job is another one. */
static void who_has_lost_one_is_so_for_one_job(void **state)
{
    spawn_peer peer = {.lease_lost = true};

    (void)state;
    spawn_doubt_refused(&peer, &why);
    expect_doubt();
    (void)set_up(NULL);
    spawn_doubt_refused(&peer, &why);
    expect_as_it_was();
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        ALONE(it_keeps_its_reason),
        ALONE(what_is_in_doubt_stays_as_it_is),
        ALONE(who_has_lost_no_worker_is_in_no_doubt),
        ALONE(who_has_lost_one_is_so_for_one_job),
    };

    return cmocka_run_group_tests_name("doubts", tests, NULL, NULL);
}
