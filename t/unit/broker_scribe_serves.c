/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scribe says to its broker: what the ledger has, at first, and of
 * each record whether it is on the disk, when it is. On broker_scribe_play.h.
 */
#include "t/unit/broker_scribe_play.h"

/* ---- what is there ---- */

static void some_jobs_are_there(void)
{
    spawn_ledger_record end = record_of(SPAWN_LEDGER_END, 2);
    char text[SPAWN_LEDGER_TEXT_MAX + 100];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(puts_job(2, "two"), 0);
    assert_int_equal(puts_job(3, "three"), 0);
    assert_int_equal(writes(&end, NULL, text), 0);
    scribe_ends();
}

static void hears_row(uint8_t n, const char *message)
{
    hears(SPAWN_LEDGER_ROW);
    assert_int_equal(heard.id.bytes[0], n);
    assert_int_equal(heard.length, SPAWN_WIRE_HEADER + strlen(message));
    assert_memory_equal(heard_message + SPAWN_WIRE_HEADER, message,
                        strlen(message));
}

static void it_says_what_is_open(void **state)
{
    (void)state;
    some_jobs_are_there();
    scribe_begins();
    hears_row(1, "one");
    assert_int_equal(heard.text_length, 0);
    hears_row(3, "three");
    hears(SPAWN_LEDGER_ROWS_END);
    assert_int_equal(heard.other_boot, 0);
    assert_int_equal(heard.length, 0);
    hears_nothing();
}

/* However little its socket takes at once. */
static void so_it_does_in_pieces(void **state)
{
    (void)state;
    disk->told_most = 7;
    some_jobs_are_there();
    scribe_begins();
    hears_row(1, "one");
    hears_row(3, "three");
    hears(SPAWN_LEDGER_ROWS_END);
    hears_of(SPAWN_LEDGER_DONE, tells_job(4, 20));
}

static void and_what_has_ended_after_a_boot(void **state)
{
    (void)state;
    some_jobs_are_there();
    change_file("durable-1.db", "UPDATE meta SET value = 'another'");
    scribe_begins();
    hears_row(1, "one");
    hears_row(2, "two");
    assert_int_equal(heard.state, SPAWN_LEDGER_IS_ENDED);
    assert_int_equal(heard.text_length, SPAWN_LEDGER_TEXT_MAX);
    hears_row(3, "three");
    hears(SPAWN_LEDGER_ROWS_END);
    assert_int_equal(heard.other_boot, 1);
}

static void it_says_that_it_was_damaged(void **state)
{
    FILE *file;

    (void)state;
    some_jobs_are_there();
    file = fopen(path_of("durable-1.db"), "r+e"); /* the count of free pages */
    assert_non_null(file);
    assert_int_equal(fseek(file, 39, SEEK_SET), 0);
    assert_int_equal(fputc(5, file), 5);
    assert_int_equal(fclose(file), 0);
    scribe_begins();
    hears_of(SPAWN_LEDGER_COPIED, 3);
    assert_int_equal(heard.attempt, 1);
    assert_int_equal(heard.text_length, 0);
    hears_row(1, "one");
    hears_row(3, "three");
    hears(SPAWN_LEDGER_ROWS_END);
    hears_of(SPAWN_LEDGER_DONE, tells_job(4, 20)); /* and not again */
}

/* From the first, when they cannot be read at once. */
static void it_begins_anew_with_them(void **state)
{
    static uint8_t message[3 << 20];
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 2);
    int reads;

    (void)state;
    r.length = sizeof(message);
    opens();
    assert_int_equal(puts_job(1, "one"), 0);
    assert_int_equal(writes(&r, message, NULL), 0);
    scribe_ends();
    disk->reads.done = 0;
    scribe_begins();
    hears_row(1, "one");
    hears(SPAWN_LEDGER_ROW);
    hears(SPAWN_LEDGER_ROWS_END);
    reads = disk->reads.done;
    assert_int_equal(scribe_has_gone(), 0);
    fail_after(&disk->reads, reads - 1, 1, ESTALE);
    scribe_begins();
    hears_row(1, "one");
    hears(SPAWN_LEDGER_BAD);
    assert_string_equal(heard_text,
                        "it cannot be read: disk I/O error: Stale file handle");
    hears_row(1, "one");
    hears(SPAWN_LEDGER_ROW);
    assert_int_equal(heard.length, sizeof(message));
    hears(SPAWN_LEDGER_ROWS_END);
    hears(SPAWN_LEDGER_GOOD);
}

static void it_says_that_it_cannot_open_it(void **state)
{
    (void)state;
    some_jobs_are_there();
    change_file("durable-1.db", "PRAGMA user_version=2");
    scribe_begins();
    hears(SPAWN_LEDGER_BAD);
    assert_non_null(strstr(heard_text, "newer mod_spawn"));
    tells_job(4, 20);
    hears_of(SPAWN_LEDGER_FAILED, numbers);
    assert_non_null(strstr(heard_text, "newer mod_spawn"));
    assert_false(heard.again);
    tells_of(SPAWN_LEDGER_END, 1);
    hears_nothing();
    change_file("durable-1.db", "PRAGMA user_version=1");
    hears_row(1, "one");
    hears_row(3, "three");
    hears(SPAWN_LEDGER_ROWS_END);
    hears(SPAWN_LEDGER_GOOD);
    hears_of(SPAWN_LEDGER_DONE, numbers);
}

/* ---- what is written ---- */

static void it_answers_when_it_is_written(void **state)
{
    spawn_ledger_record end = record_of(SPAWN_LEDGER_END, 1);

    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    assert_int_equal(heard.text_length, 0);
    hears_of(SPAWN_LEDGER_DONE, tells_of(SPAWN_LEDGER_ORDER, 1));
    end.attempt = 2;
    hears_of(SPAWN_LEDGER_DONE, tells(end, NULL, "how it ended"));
    hears_of(SPAWN_LEDGER_DONE, tells_job(2, 50));
    expect_rows(2);
    assert_int_equal(rows[0].r.length, 40);
    assert_int_equal(rows[0].r.attempt, 2);
    assert_string_equal(rows[0].text, "how it ended");
    assert_int_equal(rows[1].r.length, 50);
    assert_int_equal(rows[1].r.state, SPAWN_LEDGER_IS_WAITING);
}

static void not_before(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40)); /* its log is new */
    scribe_waits();
    tells_job(2, 40);
    tells_job(3, 40);
    tells_job(4, 40);
    disk->syncs.done = 0;
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_DONE, 2);
    assert_int_equal(disk->syncs.done, 1);
    hears_of(SPAWN_LEDGER_DONE, 3);
    hears_of(SPAWN_LEDGER_DONE, 4);
    assert_int_equal(disk->syncs.done, 1);
    expect_rows(4);
}

static void it_says_what_is_known(void **state)
{
    (void)state;
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    assert_int_equal(heard.known, SPAWN_LEDGER_KNOWS_NOT);
    hears_of(SPAWN_LEDGER_FAILED, tells_job(1, 41));
    assert_int_equal(heard.known, SPAWN_LEDGER_KNOWS_OTHER);
    assert_false(heard.full || heard.again);
    assert_int_equal(heard.text_length, 0);
    hears_of(SPAWN_LEDGER_FAILED, tells_of(SPAWN_LEDGER_ORDER, 2));
    assert_int_equal(heard.known, SPAWN_LEDGER_KNOWS_NONE);
    hears_of(SPAWN_LEDGER_DONE, tells_of(SPAWN_LEDGER_ORDER, 1));
    assert_int_equal(heard.known, SPAWN_LEDGER_KNOWS_NOT);
}

/* However it comes: in pieces, or with others. */
static void it_takes_pieces(void **state)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 1);
    uint8_t bytes[2 * (sizeof(r) + 40)] = {0};
    size_t i;

    (void)state;
    a_new_scribe_begins();
    r.length = 40;
    r.number = ++numbers;
    memcpy(bytes, &r, sizeof(r));
    r.id = id_of(2);
    r.number = ++numbers;
    memcpy(bytes + sizeof(bytes) / 2, &r, sizeof(r));
    for (i = 0; i < sizeof(bytes) / 2; i++) {
        send_bytes(bytes + i, 1);
        if (i == 0 || i == sizeof(r) - 1 || i == sizeof(r)
            || i == sizeof(bytes) / 2 - 2)
            hears_nothing(); /* it has taken that */
    }
    hears_of(SPAWN_LEDGER_DONE, numbers - 1);
    hears_of(SPAWN_LEDGER_DONE, tells_job(3, 40));
    scribe_waits(); /* one and a half */
    send_bytes(bytes + sizeof(bytes) / 2, sizeof(bytes) / 2);
    r = record_of(SPAWN_LEDGER_WAITS, 3);
    r.number = ++numbers;
    send_bytes(&r, sizeof(r) / 2);
    scribe_goes_on();
    hears_of(SPAWN_LEDGER_DONE, 2);
    send_bytes((uint8_t *)&r + sizeof(r) / 2, sizeof(r) - sizeof(r) / 2);
    hears_of(SPAWN_LEDGER_DONE, numbers);
    expect_rows(3);
}

static void it_takes_what_is_as_large_as_may_be(void **state)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, 3);
    char text[SPAWN_LEDGER_TEXT_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[SPAWN_LEDGER_TEXT_MAX] = '\0';
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, SPAWN_LEDGER_MESSAGE_MAX));
    hears_of(SPAWN_LEDGER_DONE,
             tells(record_of(SPAWN_LEDGER_END, 1), NULL, text));
    text[SPAWN_LEDGER_TEXT_MAX] = 'x';
    text[SPAWN_LEDGER_TEXT_MAX + 1] = '\0';
    hears_of(SPAWN_LEDGER_FAILED,
             tells(record_of(SPAWN_LEDGER_END, 1), NULL, text));
    assert_string_equal(heard_text, "it is larger than a job may be");
    r.length = SPAWN_WIRE_HEADER;
    hears_of(SPAWN_LEDGER_DONE, tells(r, "0123456789abcdef", NULL));
}

/* More than one transaction takes. */
static void it_takes_many_large_ones(void **state)
{
    uint8_t n;

    (void)state;
    a_new_scribe_begins();
    for (n = 1; n <= 6; n++)
        tells_job(n, 3 << 20);
    for (n = 1; n <= 6; n++)
        hears_of(SPAWN_LEDGER_DONE, n);
    expect_rows(6);
}

/* Of addresses, in MB. */
static unsigned long size_of_scribe(void)
{
    unsigned long pages = 0;
    char path[40];
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)scribe);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_int_equal(fscanf(in, "%lu", &pages), 1);
    (void)fclose(in);
    return pages / 256;
}

/* What it took of one is there for the next. */
static void it_stays_small(void **state)
{
    unsigned long before = 0;
    uint8_t n;

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "a sanitized scribe gives back no memory");
    a_new_scribe_begins();
    for (n = 1; n <= 40; n++) {
        hears_of(SPAWN_LEDGER_DONE, tells_job(n, n <= 10 ? 5 << 20 : 40));
        if (n == 2)
            before = size_of_scribe();
    }
    assert_in_range(size_of_scribe(), 1, before + 20);
}

static void a_signal_does_not_stop_it(void **state)
{
    (void)state;
    fail_after(&disk->heard, 1, 2, EINTR);
    fail_after(&disk->told, 1, 2, EINTR);
    a_new_scribe_begins();
    hears_of(SPAWN_LEDGER_DONE, tells_job(1, 40));
    hears_of(SPAWN_LEDGER_DONE, tells_job(2, 40));
    expect_rows(2);
}

/* Its broker was killed, and hears no answer. */
static void what_was_sent_is_written_all_the_same(void **state)
{
    uint8_t n;

    (void)state;
    a_new_scribe_begins();
    scribe_waits();
    for (n = 1; n <= 9; n++)
        tells_job(n, 40);
    (void)close(sock);
    fail_after(&disk->heard, 0, 1, EINTR);
    scribe_goes_on();
    sock = -1;
    expect_rows(9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_says_what_is_open),
        TEST(so_it_does_in_pieces),
        TEST(and_what_has_ended_after_a_boot),
        TEST(it_says_that_it_was_damaged),
        TEST(it_answers_when_it_is_written),
        TEST(not_before),
        TEST(it_says_what_is_known),
        TEST(it_takes_pieces),
        TEST(it_takes_what_is_as_large_as_may_be),
        TEST(it_takes_many_large_ones),
        TEST(it_stays_small),
        TEST(a_signal_does_not_stop_it),
        TEST(what_was_sent_is_written_all_the_same),
        TEST(it_begins_anew_with_them),
        TEST(it_says_that_it_cannot_open_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
