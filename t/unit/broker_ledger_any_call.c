/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any call of the disk may fail while the ledger is made or copied: that is
 * told, and the next time nothing is missing. In one process
 * (broker_ledger.h).
 */
#include "t/unit/broker_ledger.h"

/* One that was not closed, with a message that no memory of SQLite's holds. */
static int two_jobs_are_left(void)
{
    static uint8_t message[3 << 20];
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);

    spawn_ledger_init(&ledger, dir);
    r.length = sizeof(message);
    IS(spawn_ledger_open(&ledger) == 0);
    IS(tries(&r, message) == 0);
    IS(tries_job(2) == 0);
    return 0;
}

/* The nth such call fails: what is asked then succeeds, or says that it does
 * not, and the next time nothing is missing. */
static int the_first_is_made(calls *of, int n, int error)
{
    int rv;

    fail_after(of, n, 1, error);
    rv = spawn_ledger_open(&ledger);
    disk_is_good();
    opens();
    assert_false(spawn_ledger_other_boot(&ledger));
    assert_int_equal(tries_job(1), 0);
    opens_anew();
    jobs_are_there(1);
    return rv;
}

static int a_copy_is_made(calls *of, int n, int error)
{
    int rv;

    HOLDS_IN_A_CHILD(two_jobs_are_left);
    fail_after(of, n, 1, error);
    rv = spawn_ledger_open(&ledger);
    disk_is_good();
    opens();
    assert_int_equal(ledger.number, 2);
    assert_false(spawn_ledger_other_boot(&ledger));
    jobs_are_there(2);
    assert_int_equal(rows[0].r.length, 3 << 20);
    assert_int_equal(tries_job(3), 0);
    return rv;
}

static int it_is_made_anew(int (*what)(calls *of, int n, int error), calls *of,
                           int n, int error)
{
    int rv;

    assert_int_equal(set_up_ledger(NULL), 0);
    rv = what(of, n, error);
    assert_int_equal(tear_down_ledger(NULL), 0);
    return rv;
}

static void each_fails_once(int (*what)(calls *of, int n, int error), calls *of,
                            int error, unsigned tries_most)
{
    int count, step, n, said = 0;

    assert_int_equal(tear_down_ledger(NULL), 0);
    assert_int_equal(set_up_ledger(NULL), 0);
    if (what == a_copy_is_made)
        HOLDS_IN_A_CHILD(two_jobs_are_left);
    of->done = 0;
    opens();
    count = of->done;
    assert_int_equal(tear_down_ledger(NULL), 0);
    assert_true(count > 0);
    step = 1 + count / (int)tries_most;
    for (n = 0; n < count; n += step)
        said += it_is_made_anew(what, of, n, error) < 0;
    said += it_is_made_anew(what, of, count - 1, error) < 0; /* the last */
    assert_true(said > 0);
    assert_int_equal(set_up_ledger(NULL), 0);
}

static void any_write_may_fail(void **state)
{
    (void)state;
    each_fails_once(the_first_is_made, &disk->writes, EIO, 40);
    each_fails_once(a_copy_is_made, &disk->writes, EIO, 8);
    each_fails_once(a_copy_is_made, &disk->writes, ENOSPC, 8);
}

static void any_read_may_fail(void **state)
{
    (void)state;
    each_fails_once(a_copy_is_made, &disk->reads, ESTALE, 8);
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    each_fails_once(the_first_is_made, &disk->syncs, EIO, 40);
    each_fails_once(a_copy_is_made, &disk->syncs, EIO, 40);
}

/* For want of descriptors, say. */
static void any_open_may_fail(void **state)
{
    (void)state;
    each_fails_once(the_first_is_made, &disk->opens, EMFILE, 40);
    each_fails_once(a_copy_is_made, &disk->opens, EMFILE, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(any_write_may_fail),
        LEDGER_TEST(any_read_may_fail),
        LEDGER_TEST(any_sync_may_fail),
        LEDGER_TEST(any_open_may_fail),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
