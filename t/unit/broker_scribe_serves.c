/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scribe says to its broker: what the ledger has, at first, and of
 * each record whether it is on the disk, when it is. This program is the
 * broker; the scribe is a process that it forks, on the disk of
 * broker_ledger.h.
 */
#include "t/unit/broker_ledger.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "broker/store/scribe_serve.h"

#ifndef DEADLINE_MS
#define DEADLINE_MS 30000
#endif

static bool is_scribe;

ssize_t recv(int fd, void *room, size_t length, int flags)
{
    if (is_scribe && fails(&disk->heard))
        return -1;
    return syscall(SYS_recvfrom, fd, room, length, flags, NULL, NULL);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    if (is_scribe && fails(&disk->told))
        return -1;
    if (is_scribe && disk->told_most && length > (size_t)disk->told_most)
        length = (size_t)disk->told_most;
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

/* ---- the scribe ---- */

static int sock = -1;
static pid_t scribe;
static uint64_t numbers;

static void scribe_begins(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    (void)fflush(NULL);
    scribe = fork();
    assert_true(scribe >= 0);
    if (scribe == 0) {
        is_scribe = true;
        (void)close(ends[0]);
        if (ends[1] != SPAWN_SCRIBE_FD
            && dup2(ends[1], SPAWN_SCRIBE_FD) != SPAWN_SCRIBE_FD)
            _exit(8);
        if (ends[1] != SPAWN_SCRIBE_FD)
            (void)close(ends[1]);
        spawn_scribe_serve(dir);
        _exit(9);
    }
    (void)close(ends[1]);
    sock = ends[0];
}

/* As it says when its broker has gone. */
static int scribe_has_gone(void)
{
    pid_t pid = scribe;
    int status = -1;

    (void)close(sock);
    sock = -1;
    scribe = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int set_up(void **state)
{
    numbers = 0;
    return set_up_ledger(state);
}

static int tear_down(void **state)
{
    if (scribe > 0) {
        (void)kill(scribe, SIGKILL);
        (void)waitpid(scribe, NULL, 0);
        (void)close(sock);
    }
    scribe = 0;
    return tear_down_ledger(state);
}

/* What it is sent until it goes on is one transaction. */
static void scribe_waits(void)
{
    int status;

    assert_int_equal(kill(scribe, SIGSTOP), 0);
    assert_int_equal(waitpid(scribe, &status, WUNTRACED), scribe);
    assert_true(WIFSTOPPED(status));
}

static void scribe_goes_on(void)
{
    assert_int_equal(kill(scribe, SIGCONT), 0);
}

/* ---- to it ---- */

static void send_bytes(const void *data, size_t length)
{
    const uint8_t *at = data;

    while (length > 0) {
        ssize_t n = send(sock, at, length, MSG_NOSIGNAL);

        assert_true(n > 0);
        at += n;
        length -= (size_t)n;
    }
}

static uint64_t tells(spawn_ledger_record r, const void *message,
                      const char *text)
{
    r.number = ++numbers;
    r.text_length = text ? (uint32_t)strlen(text) : 0;
    send_bytes(&r, sizeof(r));
    send_bytes(message, r.length);
    send_bytes(text, r.text_length);
    return r.number;
}

static uint64_t tells_job(uint8_t n, uint32_t length)
{
    spawn_ledger_record r = record_of(SPAWN_LEDGER_PUT, n);
    uint8_t *message = calloc(1, length);
    uint64_t number;

    assert_non_null(message);
    r.length = length;
    number = tells(r, message, NULL);
    free(message);
    return number;
}

static uint64_t tells_of(spawn_ledger_type type, uint8_t n)
{
    return tells(record_of(type, n), NULL, NULL);
}

/* ---- from it ---- */

static spawn_ledger_record heard;
static uint8_t heard_message[MESSAGE_ROOM];
static char heard_text[SPAWN_LEDGER_TEXT_MAX + 1];

static void hear_bytes(void *room, size_t length)
{
    struct pollfd p = {sock, POLLIN, 0};

    while (length > 0) {
        ssize_t n;

        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
        n = recv(sock, room, length, 0);
        assert_true(n > 0);
        room = (uint8_t *)room + n;
        length -= (size_t)n;
    }
}

static void hears(spawn_ledger_type type)
{
    uint8_t *room;

    hear_bytes(&heard, sizeof(heard));
    room = malloc(heard.length + 1);
    assert_non_null(room);
    hear_bytes(room, heard.length);
    memcpy(heard_message, room,
           heard.length < MESSAGE_ROOM ? heard.length : MESSAGE_ROOM);
    free(room);
    assert_true(heard.text_length <= SPAWN_LEDGER_TEXT_MAX);
    hear_bytes(heard_text, heard.text_length);
    heard_text[heard.text_length] = '\0';
    if (heard.type != type)
        fail_msg("type %d, not %d: %s", heard.type, type, heard_text);
}

static void hears_of(spawn_ledger_type type, uint64_t number)
{
    hears(type);
    assert_int_equal(heard.number, number);
}

static void hears_nothing(void)
{
    struct pollfd p = {sock, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 50), 0);
}

static void a_new_scribe_begins(void)
{
    scribe_begins();
    hears(SPAWN_LEDGER_ROWS_END);
    assert_int_equal(heard.other_boot, 0);
}

/* What the ledger has when it was closed. */
static void expect_rows(unsigned count)
{
    assert_int_equal(scribe_has_gone(), 0);
    assert_false(is_there("durable-1.db-wal"));
    assert_false(is_there("durable-2.db-wal"));
    opens();
    read_rows(true);
    assert_int_equal(rows_count, count);
}

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
    scribe_goes_on();
    sock = -1;
    expect_rows(9);
}

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
        TEST(a_signal_does_not_stop_it),
        TEST(what_was_sent_is_written_all_the_same),
        TEST(a_sync_that_fails_once_is_told_as_a_copy),
        TEST(it_finds_that_the_disk_is_good_again),
        TEST(small_ones_are_taken_where_a_large_one_does_not_fit),
        TEST(nothing_follows_an_order_that_does_not_fit),
        TEST(one_that_fails_alone_is_told),
        TEST(what_does_not_fit_into_a_copy_is_not_there),
        TEST(what_may_be_on_a_disk_that_fails_is_told),
        TEST(it_begins_anew_with_them),
        TEST(it_says_that_it_cannot_open_it),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
