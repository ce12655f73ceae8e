/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scribe refuses a record that is larger than it may be, and goes on: one
 * that ended at it would be followed by one that ends at it, too. This program
 * plays its broker.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "broker/base/ledger.h"

#define DEADLINE_MS 30000

static char dir[] = "/tmp/scribe-test-XXXXXX";
static int sock = -1;
static pid_t scribe;

static int start_scribe(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char path[200];
    int ends[2];

    (void)state;
    if (!mkdtemp(dir)
        || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/mod_spawn/broker",
                   build ? build : "build");
    scribe = fork();
    if (scribe == 0) {
        if (ends[1] == SPAWN_SCRIBE_FD)
            (void)fcntl(ends[1], F_SETFD, 0);
        else
            (void)dup2(ends[1], SPAWN_SCRIBE_FD);
        (void)execl(path, "mod_spawn scribe", SPAWN_SCRIBE_ARGUMENT, dir, NULL);
        _exit(1);
    }
    (void)close(ends[1]);
    sock = ends[0];
    return scribe > 0 ? 0 : -1;
}

/* It ends with its socket. */
static int end_scribe(void **state)
{
    static const char *const files[] = {"durable-1.db", "durable-1.db-wal",
                                        "durable.lock"};
    char path[200];
    size_t i;

    (void)state;
    (void)close(sock);
    if (waitpid(scribe, NULL, 0) != scribe)
        return -1;
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

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

static void send_record(uint64_t number, uint32_t length)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_PUT,
                             .length = length,
                             .number = number,
                             .submitted_at = 1};
    uint8_t *data = calloc(1, length);

    assert_non_null(data);
    memcpy(r.id.bytes, &number, sizeof(number));
    send_bytes(&r, sizeof(r));
    send_bytes(data, length);
    free(data);
}

static void receive_bytes(void *data, size_t length)
{
    struct pollfd p = {sock, POLLIN, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(recv(sock, data, length, MSG_WAITALL), length);
}

static void expect(spawn_ledger_type type, uint64_t number, const char *text)
{
    char got[SPAWN_LEDGER_TEXT_MAX + 1] = "";
    spawn_ledger_record r;

    receive_bytes(&r, sizeof(r));
    assert_int_equal(r.type, type);
    assert_int_equal(r.number, number);
    assert_int_equal(r.text_length, strlen(text));
    if (r.text_length)
        receive_bytes(got, r.text_length);
    assert_string_equal(got, text);
}

static void it_is_refused_and_those_behind_it_are_written(void **state)
{
    (void)state;
    expect(SPAWN_LEDGER_ROWS_END, 0, "");
    send_record(1, SPAWN_LEDGER_MESSAGE_MAX + 1);
    send_record(2, 100);
    expect(SPAWN_LEDGER_FAILED, 1, "it is larger than a job may be");
    expect(SPAWN_LEDGER_DONE, 2, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            it_is_refused_and_those_behind_it_are_written, start_scribe,
            end_scribe),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
