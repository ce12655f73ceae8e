/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scribe that this program forks, on the disk of broker_ledger.h; the program
 * is its broker.
 */
#ifndef BROKER_SCRIBE_PLAY_H
#define BROKER_SCRIBE_PLAY_H

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

static inline void scribe_begins(void)
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
static inline int scribe_has_gone(void)
{
    pid_t pid = scribe;
    int status = -1;

    (void)close(sock);
    sock = -1;
    scribe = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline int set_up(void **state)
{
    numbers = 0;
    return set_up_ledger(state);
}

static inline int tear_down(void **state)
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
static inline void scribe_waits(void)
{
    int status;

    assert_int_equal(kill(scribe, SIGSTOP), 0);
    assert_int_equal(waitpid(scribe, &status, WUNTRACED), scribe);
    assert_true(WIFSTOPPED(status));
}

static inline void scribe_goes_on(void)
{
    assert_int_equal(kill(scribe, SIGCONT), 0);
}

/* ---- to it ---- */

static inline void send_bytes(const void *data, size_t length)
{
    const uint8_t *at = data;

    while (length > 0) {
        ssize_t n = send(sock, at, length, MSG_NOSIGNAL);

        assert_true(n > 0);
        at += n;
        length -= (size_t)n;
    }
}

static inline uint64_t tells(spawn_ledger_record r, const void *message,
                             const char *text)
{
    r.number = ++numbers;
    r.text_length = text ? (uint32_t)strlen(text) : 0;
    send_bytes(&r, sizeof(r));
    send_bytes(message, r.length);
    send_bytes(text, r.text_length);
    return r.number;
}

static inline uint64_t tells_job(uint8_t n, uint32_t length)
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

static inline uint64_t tells_of(spawn_ledger_type type, uint8_t n)
{
    return tells(record_of(type, n), NULL, NULL);
}

/* ---- from it ---- */

static spawn_ledger_record heard;
static uint8_t heard_message[MESSAGE_ROOM];
static char heard_text[SPAWN_LEDGER_TEXT_MAX + 1];

static inline void hear_bytes(void *room, size_t length)
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

static inline void hears(spawn_ledger_type type)
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

static inline void hears_of(spawn_ledger_type type, uint64_t number)
{
    hears(type);
    assert_int_equal(heard.number, number);
}

static inline void hears_nothing(void)
{
    struct pollfd p = {sock, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 50), 0);
}

static inline void a_new_scribe_begins(void)
{
    scribe_begins();
    hears(SPAWN_LEDGER_ROWS_END);
    assert_int_equal(heard.other_boot, 0);
}

/* What the ledger has when it was closed. */
static inline void expect_rows(unsigned count)
{
    assert_int_equal(scribe_has_gone(), 0);
    assert_false(is_there("durable-1.db-wal"));
    assert_false(is_there("durable-2.db-wal"));
    opens();
    read_rows(true);
    assert_int_equal(rows_count, count);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
