/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scribe says, and does, when its disk fails or is full: which records
 * are refused, which wait, and which may be there all the same. On
 * broker_scribe_play.h.
 */
#include "t/unit/broker_scribe_play.h"

/* ---- the disk fails ---- */

static void a_sync_that_fails_once_is_told_as_a_copy(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    fail_after(&disk->syncs, 0, 1, EIO);
    tells_job(2, 40);
    hears(SPAWN_LEDGER_COPIED);
    assert_int_equal(heard.attempt, 2);
    assert_string_equal(heard_text, "it cannot be written: disk I/O error");
    hears_of(SPAWN_LEDGER_DONE, 2);
    hears_of(SPAWN_LEDGER_DONE, tells_job(3, 40));
    expect_rows(3);
}

static void what_may_be_on_a_disk_that_fails_is_told(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    fail_after(&disk->syncs, 0, -1, EIO);
    scribe_waits();
    tells_job(2, 40);
    tells_of(SPAWN_LEDGER_END, 1);
    tells_job(3, 40);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.again);
    assert_false(heard.full);
    assert_true(heard.text_length > 0);
    hears_of(SPAWN_LEDGER_FAILED, 4);
    assert_true(heard.again);
    hears(SPAWN_LEDGER_BAD);
    assert_string_equal(heard_text,
                        "a new file cannot be synced: Input/output error");
    tells_job(4, 40); /* at once; and it is not there */
    hears_of(SPAWN_LEDGER_FAILED, 5);
    assert_false(heard.again);
    tells_of(SPAWN_LEDGER_ORDER, 1);
    hears_of(SPAWN_LEDGER_FAILED, 6);
    tells_of(SPAWN_LEDGER_REVIVE, 1);
    hears_of(SPAWN_LEDGER_FAILED, 7);
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD); /* before its answers: they may send again */
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_of(SPAWN_LEDGER_DONE, tells_job(5, 40));
    hears_nothing();
    expect_rows(2);
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_ENDED);
    assert_int_equal(rows[1].r.id.bytes[0], 5);
}

/* It looks for itself when nothing is to be written. */
static void it_finds_that_the_disk_is_good_again(void **state)
{
    (void)state;
    a_new_scribe_begins();
    fail_after(&disk->syncs, 0, -1, EIO);
    tells_job(1, 40);
    hears_of(SPAWN_LEDGER_FAILED, 1);
    hears(SPAWN_LEDGER_BAD);
    fail_after(&disk->syncs, 3, 2, EIO); /* of the look, and another copy's */
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, tells_job(2, 40));
    hears_nothing();
    expect_rows(1);
}

/* ---- the disk is full ---- */

static void small_ones_are_taken_where_a_large_one_does_not_fit(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    disk->room = 150000;
    scribe_waits();
    tells_job(2, 40);
    tells_of(SPAWN_LEDGER_END, 1);
    tells_job(3, 150000);
    tells_job(4, 40);
    tells_of(SPAWN_LEDGER_ORDER, 4);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_DONE, 2);
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_of(SPAWN_LEDGER_FAILED, 4);
    assert_true(heard.full);
    assert_false(heard.again);
    assert_string_equal(heard_text, "it cannot be written: the disk is full");
    hears_of(SPAWN_LEDGER_DONE, 5);
    hears_of(SPAWN_LEDGER_DONE, 6);
    hears_nothing();
    expect_rows(3);
}

/* What follows an order may be of its job. */
static void nothing_follows_an_order_that_does_not_fit(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    scribe_waits();
    fail_after(&disk->writes, 0, -1, ENOSPC);
    tells_of(SPAWN_LEDGER_ORDER, 1);
    tells_of(SPAWN_LEDGER_WAITS, 1);
    tells_job(2, 40);
    tells_of(SPAWN_LEDGER_ORDER, 1);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.full);
    hears_of(SPAWN_LEDGER_FAILED, 4);
    assert_true(heard.full);
    hears_of(SPAWN_LEDGER_FAILED, 5);
    hears(SPAWN_LEDGER_BAD);
    hears_nothing();
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_nothing();
}

/* There is room again when the next one would be tried. */
static void nor_is_one_tried_that_follows(spawn_ledger_type first)
{
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    scribe_waits();
    fail_after(&disk->writes, 0, 2, ENOSPC); /* of all, and of it alone */
    tells_of(first, 1);
    tells_job(2, 40);
    scribe_goes_on();
    if (first == SPAWN_LEDGER_ORDER)
        hears_of(SPAWN_LEDGER_FAILED, 2);
    hears_of(SPAWN_LEDGER_FAILED, 3);
    assert_true(heard.full);
    hears(SPAWN_LEDGER_BAD);
    hears(SPAWN_LEDGER_GOOD);
    if (first != SPAWN_LEDGER_ORDER)
        hears_of(SPAWN_LEDGER_DONE, 2);
    expect_rows(1);
}

static void nor_is_one_tried_that_follows_an_order(void **state)
{
    (void)state;
    nor_is_one_tried_that_follows(SPAWN_LEDGER_ORDER);
}

static void nor_is_one_tried_that_follows_an_end(void **state)
{
    (void)state;
    nor_is_one_tried_that_follows(SPAWN_LEDGER_END);
}

static void the_disk_is_full_for_all(void)
{
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    fail_after(&disk->writes, 0, -1, ENOSPC);
    tells_of(SPAWN_LEDGER_ORDER, 1);
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.full);
    hears(SPAWN_LEDGER_BAD);
}

/* It looks each second. */
static void it_says_when_there_is_room(void **state)
{
    struct pollfd p;

    (void)state;
    the_disk_is_full_for_all();
    p = (struct pollfd){sock, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 1500), 0);
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, tells_job(3, 40));
    expect_rows(2);
    assert_int_equal(ledger.number, 1); /* a copy takes more of it */
}

static void and_when_the_disk_fails_then(void **state)
{
    (void)state;
    the_disk_is_full_for_all();
    fail_after(&disk->syncs, 0, 1, EIO);
    fail_after(&disk->writes, 0, 0, 0);
    hears(SPAWN_LEDGER_COPIED);
    assert_int_equal(heard.attempt, 2);
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, tells_job(3, 40));
    expect_rows(2);
    assert_int_equal(ledger.number, 2);
}

/* Not one more byte goes into a file whose sync failed. */
static void nothing_is_written_when_there_is_no_copy(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    scribe_waits();
    fail_after(&disk->syncs, 0, 1, EIO);
    fail_after(&disk->renames, 0, -1, ENOSPC);
    tells_job(2, 40);
    tells_job(3, 40);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.again);
    hears_of(SPAWN_LEDGER_FAILED, 3);
    hears(SPAWN_LEDGER_BAD);
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD);
    expect_rows(1);
    assert_int_equal(ledger.number, 2);
}

/* Neither what waits nor what comes behind it. */
static void nothing_is_lost_that_has_to_wait(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    scribe_waits();
    fail_after(&disk->writes, 0, -1, ENOSPC);
    tells_job(2, 40);
    tells_of(SPAWN_LEDGER_WAITS, 1);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_FAILED, 2);
    hears(SPAWN_LEDGER_BAD);
    tells_of(SPAWN_LEDGER_END, 1);
    hears_nothing();
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_of(SPAWN_LEDGER_DONE, 4);
    hears_nothing();
    expect_rows(1);
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_ENDED);
}

static void one_that_fails_alone_is_told(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    scribe_waits();
    disk->room = 100000;
    fail_after(&disk->syncs, 0, -1, EIO);
    tells_job(2, 40); /* it is synced alone */
    tells_job(3, 150000);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.again);
    hears_of(SPAWN_LEDGER_FAILED, 3);
    assert_false(heard.again);
    hears(SPAWN_LEDGER_BAD);
    disk_is_good();
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, tells_job(4, 40));
    expect_rows(2);
    assert_int_equal(ledger.number, 2); /* nothing more went into the other */
}

/* The copy has what was committed, and nothing of that. */
static void what_does_not_fit_into_a_copy_is_not_there(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    disk->room_then = 100000;
    fail_after(&disk->syncs, 0, 1, EIO);
    scribe_waits();
    tells_job(2, 150000);
    tells_job(3, 40);
    scribe_goes_on();
    hears(SPAWN_LEDGER_COPIED);
    hears_of(SPAWN_LEDGER_FAILED, 2);
    assert_true(heard.full);
    assert_false(heard.again);
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_nothing();
    expect_rows(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sync_that_fails_once_is_told_as_a_copy),
        TEST(it_finds_that_the_disk_is_good_again),
        TEST(small_ones_are_taken_where_a_large_one_does_not_fit),
        TEST(nothing_follows_an_order_that_does_not_fit),
        TEST(nor_is_one_tried_that_follows_an_order),
        TEST(nor_is_one_tried_that_follows_an_end),
        TEST(nothing_is_written_when_there_is_no_copy),
        TEST(nothing_is_lost_that_has_to_wait),
        TEST(one_that_fails_alone_is_told),
        TEST(what_does_not_fit_into_a_copy_is_not_there),
        TEST(what_may_be_on_a_disk_that_fails_is_told),
        TEST(it_says_when_there_is_room),
        TEST(and_when_the_disk_fails_then),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
