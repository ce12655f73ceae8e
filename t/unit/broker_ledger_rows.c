/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger is told of a job is what the next broker reads there, all of
 * it and nothing of another job. In one process (broker_ledger.h).
 */
#include "t/unit/broker_ledger.h"

#include "common/spawn_os.h"

static bool boot_is_known = true;

int __real_spawn_os_boot_id(char *text);
int __wrap_spawn_os_boot_id(char *text);

int __wrap_spawn_os_boot_id(char *text)
{
    return boot_is_known ? __real_spawn_os_boot_id(text) : -EIO;
}

/* ---- what is written, and what is read ---- */

/* No two numbers of it are the same. */
static spawn_ledger_record an_end(uint8_t n)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_END, n);
    spawn_ledger_end *e = &r.end;
    unsigned i;

    r.attempt = 7;
    r.alone = true;
    e->outcome = 11;
    e->exit_code = 12;
    e->signo = 13;
    e->core = 14;
    e->step = 15;
    e->error = 16;
    e->pid = 17;
    e->started_at = 5000000018;
    e->ended_at = 5000000019;
    e->elapsed_us = 5000000020;
    e->result_kind = 2;
    e->rusage_count = SPAWN_RU_ALL;
    for (i = 0; i < SPAWN_RU_ALL; i++)
        e->rusage[i] = 5000000100 + i;
    return r;
}

static void expect_no_end(const spawn_ledger_record *r)
{
    const spawn_ledger_end none = {.result_kind = -1};

    assert_memory_equal(&r->end, &none, sizeof(none));
    assert_false(r->alone);
}

static const row_seen *only_row(void)
{
    read_rows(true);
    assert_int_equal(rows_count, 1);
    return &rows[0];
}

static void a_job_that_waits(void **state)
{
    uint8_t message[MESSAGE_ROOM];
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);
    const row_seen *it;
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)(i + 1);
    r.length = sizeof(message);
    r.uid = 4000000001;
    r.pid = 4711;
    r.submitted_at = 5000000001;
    opens();
    assert_int_equal(writes(&r, message, NULL), 0);
    opens_anew();
    it = only_row();
    assert_int_equal(it->r.type, SPAWN_LEDGER_ROW);
    assert_int_equal(it->r.state, SPAWN_LEDGER_IS_WAITING);
    assert_memory_equal(&it->r.id, &r.id, sizeof(r.id));
    assert_int_equal(it->r.attempt, 1);
    assert_int_equal(it->r.length, sizeof(message));
    assert_memory_equal(it->message, message, sizeof(message));
    assert_int_equal(it->r.uid, r.uid);
    assert_int_equal(it->r.pid, r.pid);
    assert_int_equal(it->r.submitted_at, r.submitted_at);
    assert_int_equal(it->r.due_at, 0);
    assert_false(it->r.chosen);
    assert_false(it->has_text);
    expect_no_end(&it->r);
}

static void one_that_starts_and_waits_again(void **state)
{
    spawn_ledger_record order = record_of(SPAWN_LEDGER_ORDER, 1);
    spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 1);
    const row_seen *it;

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    order.attempt = 2;
    assert_int_equal(writes(&order, NULL, NULL), 0);
    it = only_row();
    assert_int_equal(it->r.state, SPAWN_LEDGER_IS_ORDERED);
    assert_int_equal(it->r.attempt, 2);
    assert_int_equal(it->r.due_at, 0);
    assert_true(it->r.chosen);
    waits.attempt = 3;
    waits.due_at = 5000000003;
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    it = only_row();
    assert_int_equal(it->r.state, SPAWN_LEDGER_IS_WAITING);
    assert_int_equal(it->r.attempt, 3);
    assert_int_equal(it->r.due_at, waits.due_at);
    assert_true(it->r.chosen); /* once */
    waits.due_at = 0;
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    assert_int_equal(only_row()->r.due_at, 0);
    expect_no_end(&rows[0].r);
}

/* It was never to start. */
static void one_whose_time_comes_earlier(void **state)
{
    spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 1);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    waits.due_at = SPAWN_LEDGER_NOW;
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    assert_int_equal(only_row()->r.due_at, SPAWN_LEDGER_NOW);
    assert_false(rows[0].r.chosen);
}

static void one_that_has_ended(void **state)
{
    const spawn_ledger_record end = an_end(1);
    const row_seen *it;

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(writes(&end, NULL, "how it ended"), 0);
    opens_anew();
    it = only_row();
    assert_int_equal(it->r.state, SPAWN_LEDGER_IS_ENDED);
    assert_int_equal(it->r.attempt, end.attempt);
    assert_true(it->r.alone);
    assert_false(it->r.chosen); /* and this, which lies beside it */
    assert_memory_equal(&it->r.end, &end.end, sizeof(end.end));
    assert_true(it->has_text);
    assert_string_equal(it->text, "how it ended");
}

static void one_that_returned_nothing(void **state)
{
    spawn_ledger_record end = record_of(SPAWN_LEDGER_END, 1);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(writes(&end, NULL, NULL), 0); /* kind 0 */
    assert_int_equal(only_row()->r.end.result_kind, 0);
    end.end.result_kind = -1;
    assert_int_equal(writes(&end, NULL, NULL), 0);
    assert_int_equal(only_row()->r.end.result_kind, -1);
}

/* What one had is none of the next one's. */
static void one_that_ends_after_another(void **state)
{
    spawn_ledger_record end = an_end(1);
    spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 3);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(puts_job(2, "two"), 0);
    assert_int_equal(puts_job(3, "three"), 0);
    assert_int_equal(puts_job(4, "four"), 0);
    assert_int_equal(writes(&end, NULL, "how it ended"), 0);
    end = record_of(SPAWN_LEDGER_END, 2);
    end.end.result_kind = -1;
    assert_int_equal(writes(&end, NULL, NULL), 0);
    waits.due_at = 5;
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    waits = record_of(SPAWN_LEDGER_WAITS, 4);
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    read_rows(true);
    assert_int_equal(rows_count, 4);
    assert_true(rows[0].has_text);
    assert_false(rows[1].has_text);
    expect_no_end(&rows[1].r);
    assert_int_equal(rows[2].r.due_at, 5);
    assert_int_equal(rows[3].r.due_at, 0);
}

static void one_that_is_revived(void **state)
{
    spawn_ledger_record end = an_end(1);
    spawn_ledger_record revive = record_of(SPAWN_LEDGER_REVIVE, 1);
    spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 1);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    waits.due_at = 5;
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    assert_int_equal(writes(&end, NULL, "how it ended"), 0);
    revive.attempt = 8;
    revive.length = SPAWN_WIRE_HEADER;
    assert_int_equal(writes(&revive, "0123456789abcdef", NULL), 0);
    only_row();
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_WAITING);
    assert_int_equal(rows[0].r.attempt, 8);
    assert_int_equal(rows[0].r.due_at, 0);
    assert_true(rows[0].r.chosen);
    assert_false(rows[0].has_text);
    expect_no_end(&rows[0].r);
    assert_string_equal(rows[0].message + SPAWN_WIRE_HEADER, "one");
}

static void one_that_is_revived_and_was_forgotten(void **state)
{
    spawn_ledger_record revive = record_of(SPAWN_LEDGER_REVIVE, 1);

    (void)state;
    opens();
    revive.attempt = 8;
    revive.length = SPAWN_WIRE_HEADER;
    revive.uid = 33;
    revive.pid = 34;
    revive.submitted_at = 35;
    assert_int_equal(writes(&revive, "0123456789abcdef", NULL), 0);
    only_row();
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_WAITING);
    assert_int_equal(rows[0].r.attempt, 8);
    assert_true(rows[0].r.chosen);
    assert_int_equal(rows[0].r.uid, 33);
    assert_int_equal(rows[0].r.pid, 34);
    assert_int_equal(rows[0].r.submitted_at, 35);
    assert_memory_equal(rows[0].message, "0123456789abcdef", 16);
}

static void one_that_is_tried_again_has_not_ended(void **state)
{
    const spawn_ledger_record end = an_end(1);
    const spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 1);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(writes(&end, NULL, "how it ended"), 0);
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    only_row();
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_WAITING);
    assert_false(rows[0].has_text);
    expect_no_end(&rows[0].r);
}

/* ---- which rows, and in which order ---- */

static void those_that_are_open_come_in_order_of_their_submits(void **state)
{
    spawn_ledger_record end = record_of(SPAWN_LEDGER_END, 5);
    const spawn_ledger_record order = record_of(SPAWN_LEDGER_ORDER, 3);

    (void)state;
    opens();
    assert_int_equal(puts_job(9, "nine"), 0);
    assert_int_equal(puts_job(5, "five"), 0);
    assert_int_equal(puts_job(3, "three"), 0);
    assert_int_equal(puts_job(7, "seven"), 0);
    assert_int_equal(writes(&end, NULL, NULL), 0);
    end = an_end(7);
    assert_int_equal(writes(&end, NULL, NULL), 0);
    assert_int_equal(writes(&order, NULL, NULL), 0);
    read_rows(false);
    assert_int_equal(rows_count, 3);
    assert_int_equal(rows[0].r.id.bytes[0], 9);
    assert_int_equal(rows[1].r.id.bytes[0], 3);
    assert_int_equal(rows[2].r.id.bytes[0], 7); /* alone */
    read_rows(true);
    assert_int_equal(rows_count, 4);
    assert_int_equal(rows[1].r.id.bytes[0], 5);
}

#define A_ROW(id, message, usage)                                              \
    "INSERT INTO job(id, state, attempt, submitted_at, message, rusage)"       \
    " VALUES(" id ", 1, 1, 1, " message ", " usage ");"

/* What a damaged file may have, that passed the look at it. */
static void what_is_no_job_is_passed_over(void **state)
{
    (void)state;
    opens();
    assert_int_equal(sqlite3_exec(ledger.db,
                                  A_ROW("x''", "x''", "NULL")
                                      A_ROW("x'0102'", "x''", "NULL"),
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(only_row()->r.id.bytes[0], 1);
}

static void what_is_too_long_is_left_out(void **state)
{
    sqlite3_stmt *s;
    int i;

    (void)state;
    opens();
    assert_int_equal(sqlite3_prepare_v2(ledger.db,
                                        A_ROW("randomblob(16)", "zeroblob(?1)",
                                              "zeroblob(1000)"),
                                        -1, &s, NULL),
                     SQLITE_OK);
    for (i = 0; i < 2; i++) {
        (void)sqlite3_bind_int(s, 1, SPAWN_LEDGER_MESSAGE_MAX + i);
        assert_int_equal(sqlite3_step(s), SQLITE_DONE);
        (void)sqlite3_reset(s);
    }
    (void)sqlite3_finalize(s);
    read_rows(true);
    assert_int_equal(rows_count, 2);
    assert_int_equal(rows[0].r.length, SPAWN_LEDGER_MESSAGE_MAX);
    assert_int_equal(rows[1].r.length, 0); /* its reader says so */
    assert_int_equal(rows[1].r.end.rusage_count, SPAWN_RU_ALL);
}

/* ---- what is known ---- */

static void one_that_is_sent_again_is_known(void **state)
{
    uint8_t message[MESSAGE_ROOM] = "header of which:the job that is sent";
    const spawn_ledger_record order = record_of(SPAWN_LEDGER_ORDER, 1);
    const spawn_ledger_record end = an_end(1);
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);
    int i;

    (void)state;
    r.length = 30;
    opens();
    assert_int_equal(writes(&r, message, NULL), 0);
    message[0] = 'H'; /* how it was sent */
    for (i = 0; i < 2; i++)
        assert_int_equal(writes(&r, message, NULL), 0);
    r.length++; /* a longer one, */
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_OTHER);
    r.length = SPAWN_WIRE_HEADER;
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_OTHER);
    r.length = 30;
    message[29]++; /* or another one, in its last byte */
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_OTHER);
    message[29]--;
    message[SPAWN_WIRE_HEADER]++; /* or its first one */
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_OTHER);
    message[SPAWN_WIRE_HEADER]--;
    assert_int_equal(writes(&order, NULL, NULL), 0);
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_STARTED);
    assert_int_equal(writes(&end, NULL, NULL), 0);
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_STARTED);
    assert_int_equal(only_row()->r.state, SPAWN_LEDGER_IS_ENDED);
    assert_int_equal(rows[0].r.length, 30);
}

static void one_of_a_header_alone_is_known(void **state)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);
    const uint8_t message[SPAWN_WIRE_HEADER] = "";

    (void)state;
    opens();
    r.length = sizeof(message);
    assert_int_equal(writes(&r, message, NULL), 0);
    assert_int_equal(writes(&r, message, NULL), 0);
    r = record_of(SPAWN_LEDGER_PUT, 2);
    r.length = sizeof(message) - 1; /* and less is no message */
    assert_int_equal(writes(&r, message, NULL), 0);
    assert_int_equal(writes(&r, message, NULL), SPAWN_LEDGER_KNOWS_OTHER);
}

static void what_is_not_there_does_not_start(void **state)
{
    const spawn_ledger_record order = record_of(SPAWN_LEDGER_ORDER, 2);
    const spawn_ledger_record waits = record_of(SPAWN_LEDGER_WAITS, 2);
    const spawn_ledger_record end = an_end(2);

    (void)state;
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(writes(&order, NULL, NULL), SPAWN_LEDGER_KNOWS_NONE);
    assert_int_equal(writes(&waits, NULL, NULL), 0);
    assert_int_equal(writes(&end, NULL, NULL), 0);
    assert_int_equal(only_row()->r.id.bytes[0], 1);
    assert_int_equal(rows[0].r.state, SPAWN_LEDGER_IS_WAITING);
}

/* ---- of which boot ---- */

#define SET_BOOT(value)                                                        \
    "UPDATE meta SET value = " value " WHERE key = 'boot_id'"

static void set_boot(const char *sql)
{
    assert_int_equal(sqlite3_exec(ledger.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void it_is_of_another_boot_until_it_was_read(void **state)
{
    const spawn_ledger_record read = record_of(SPAWN_LEDGER_READ, 0);

    (void)state;
    opens();
    assert_false(spawn_ledger_other_boot(&ledger));
    set_boot(SET_BOOT("'another'"));
    assert_true(spawn_ledger_other_boot(&ledger));
    assert_int_equal(spawn_ledger_begin(&ledger), 0);
    assert_int_equal(spawn_ledger_probe(&ledger), 0);
    assert_int_equal(spawn_ledger_commit(&ledger), 0);
    opens_anew();
    assert_true(spawn_ledger_other_boot(&ledger));
    assert_int_equal(writes(&read, NULL, NULL), 0);
    opens_anew();
    assert_false(spawn_ledger_other_boot(&ledger));
}

static void so_it_is_when_it_does_not_say_of_which(void **state)
{
    (void)state;
    opens();
    set_boot(SET_BOOT("NULL"));
    assert_true(spawn_ledger_other_boot(&ledger));
    set_boot("DELETE FROM meta");
    assert_true(spawn_ledger_other_boot(&ledger));
    set_boot("DROP TABLE meta");
    assert_true(spawn_ledger_other_boot(&ledger));
}

/* Two boots that are not known are not the same one. */
static void so_it_is_when_the_boot_is_not_known(void **state)
{
    (void)state;
    boot_is_known = false;
    opens();
    assert_true(spawn_ledger_other_boot(&ledger));
    boot_is_known = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(a_job_that_waits),
        LEDGER_TEST(one_that_starts_and_waits_again),
        LEDGER_TEST(one_whose_time_comes_earlier),
        LEDGER_TEST(one_that_has_ended),
        LEDGER_TEST(one_that_returned_nothing),
        LEDGER_TEST(one_that_ends_after_another),
        LEDGER_TEST(one_that_is_revived),
        LEDGER_TEST(one_that_is_revived_and_was_forgotten),
        LEDGER_TEST(one_that_is_tried_again_has_not_ended),
        LEDGER_TEST(those_that_are_open_come_in_order_of_their_submits),
        LEDGER_TEST(what_is_no_job_is_passed_over),
        LEDGER_TEST(what_is_too_long_is_left_out),
        LEDGER_TEST(one_that_is_sent_again_is_known),
        LEDGER_TEST(one_of_a_header_alone_is_known),
        LEDGER_TEST(what_is_not_there_does_not_start),
        LEDGER_TEST(it_is_of_another_boot_until_it_was_read),
        LEDGER_TEST(so_it_is_when_it_does_not_say_of_which),
        LEDGER_TEST(so_it_is_when_the_boot_is_not_known),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
