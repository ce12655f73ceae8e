/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that wait for their log: so many and no more, in order, for so long;
 * what cannot be written is given back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_backlog.h"
#include "common/spawn_os.h"

#define ROOM 262144

static unsigned lost_lines;
static size_t lost_bytes;
static char last_lost[64];
static int drained = -1; /* when a line is lost */

static void lose(const char *line, size_t length)
{
    static char all[65536];

    while (drained >= 0 && read(drained, all, sizeof(all)) > 0)
        continue;
    lost_lines++;
    lost_bytes += length;
    memset(last_lost, 0, sizeof(last_lost));
    memcpy(last_lost, line,
           length < sizeof(last_lost) ? length : sizeof(last_lost) - 1);
}

static int empty(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    spawn_backlog_flush(INT64_MAX, lose);
    lost_lines = 0;
    lost_bytes = 0;
    drained = -1;
    return spawn_backlog_waits() ? -1 : 0;
}

/* A pipe that is full. */
static spawn_sink full_pipe(int *ret_reader)
{
    static const char much[65536];
    spawn_sink sink = {-1, 0, ""};
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    (void)fcntl(ends[1], F_SETPIPE_SZ, 16384);
    while (write(ends[1], much, sizeof(much)) > 0)
        continue;
    *ret_reader = ends[0];
    sink.fd = ends[1];
    return sink;
}

static void drain(int reader, char *text, size_t room)
{
    static char all[1 << 20];
    size_t n = 0, zeros = 0;
    ssize_t more;

    while ((more = read(reader, all + n, sizeof(all) - 1 - n)) > 0)
        n += (size_t)more;
    all[n] = '\0';
    /* behind the zeros that made it full */
    while (zeros < n && all[zeros] == '\0')
        zeros++;
    all[zeros + room - 1 < sizeof(all) ? zeros + room - 1 : sizeof(all) - 1] =
        0;
    (void)strcpy(text, all + zeros);
}

static void it_has_so_much_room_and_no_more(void **state)
{
    static const char line[1000];
    int reader;
    spawn_sink sink = full_pipe(&reader);
    size_t bytes = 0;
    unsigned lines = 0;

    (void)state;
    assert_false(spawn_backlog_crowded());
    while (spawn_backlog_put(&sink, 4, line, sizeof(line), 0, 1000)) {
        bytes += sizeof(line);
        lines++;
        assert_true(bytes <= ROOM);
        if (bytes > ROOM / 4)
            assert_true(spawn_backlog_crowded());
        if (bytes + lines * 200 < ROOM / 4)
            assert_false(spawn_backlog_crowded());
    }
    assert_true(bytes > ROOM / 2);
    assert_true(spawn_backlog_put(&sink, 4, line, 0, 0, 1000));
    spawn_backlog_flush(1000 + 10000, lose); /* 10 s are over */
    assert_false(spawn_backlog_waits());
    assert_int_equal(lost_lines, lines + 1);
    assert_int_equal(lost_bytes, bytes);
    (void)close(reader);
    (void)close(sink.fd);
}

/* The last byte of the room too: what follows it must be as before. */
static void it_can_be_filled_to_the_brim(void **state)
{
    static char line[4096];
    int reader;
    spawn_sink sink = full_pipe(&reader);
    size_t length;
    unsigned lines = 0, i;

    (void)state;
    memset(line, 'x', sizeof(line));
    for (length = sizeof(line); length > 0; length /= 2) {
        while (spawn_backlog_put(&sink, 4, line, length, 0, 1000))
            lines++;
    }
    while (spawn_backlog_put(&sink, 4, line, 0, 0, 1000))
        lines++;
    assert_true(spawn_backlog_has(&sink));
    for (i = 0; i < 3; i++)
        spawn_backlog_flush(1000, lose);
    assert_int_equal(lost_lines, 0);
    spawn_backlog_flush(INT64_MAX, lose);
    assert_int_equal(lost_lines, lines);
    (void)close(reader);
    (void)close(sink.fd);
}

static void lines_wait_for_their_own_log(void **state)
{
    int reader, other_reader;
    spawn_sink sink = full_pipe(&reader), other = full_pipe(&other_reader);
    char text[100];

    (void)state;
    assert_false(spawn_backlog_has(&sink));
    assert_true(spawn_backlog_put(&sink, 4, "one\n", 4, 0, 1000));
    assert_true(spawn_backlog_has(&sink));
    assert_false(spawn_backlog_has(&other));
    assert_true(spawn_backlog_put(&other, 4, "two\n", 4, 0, 1000));
    assert_true(spawn_backlog_put(&sink, 4, "three\n", 6, 0, 1001));
    assert_true(spawn_backlog_has(&other));
    spawn_backlog_flush(1000 + 9999, lose);
    assert_true(spawn_backlog_has(&sink));
    assert_int_equal(spawn_backlog_retry_ms(), 20);
    drain(other_reader, text, sizeof(text));
    spawn_backlog_flush(1000 + 9999, lose);
    assert_int_equal(spawn_backlog_retry_ms(), 2); /* it shrinks */
    drain(other_reader, text, sizeof(text));
    assert_string_equal(text, "two\n");
    assert_false(spawn_backlog_has(&other));
    spawn_backlog_flush(1000 + 10000, lose);
    assert_int_equal(lost_lines, 1);
    assert_string_equal(last_lost, "one\n");
    assert_true(spawn_backlog_has(&sink));
    drain(reader, text, sizeof(text));
    spawn_backlog_flush(1000 + 10000, lose);
    drain(reader, text, sizeof(text));
    assert_string_equal(text, "three\n");
    assert_false(spawn_backlog_waits());
    assert_int_equal(lost_lines, 1);
    spawn_backlog_flush(1000 + 10000, lose);
    assert_int_equal(spawn_backlog_retry_ms(), 20);
    (void)close(reader);
    (void)close(other_reader);
    (void)close(sink.fd);
    (void)close(other.fd);
}

static void lines_of_a_log_that_has_gone_are_given_back_at_once(void **state)
{
    int reader;
    spawn_sink sink = full_pipe(&reader);

    (void)state;
    assert_true(spawn_backlog_put(&sink, 4, "one\n", 4, 0, 1000));
    (void)close(reader);
    spawn_backlog_flush(1000, lose);
    assert_int_equal(lost_lines, 1);
    assert_false(spawn_backlog_waits());
    (void)close(sink.fd);
}

/* A log that gets room in the middle of a look is for the next look: what comes
 * later must not come first. */
static void lines_of_a_log_stay_in_order(void **state)
{
    int reader, other_reader;
    spawn_sink sink = full_pipe(&reader), other = full_pipe(&other_reader);
    char text[100];

    (void)state;
    assert_true(spawn_backlog_put(&sink, 4, "one\n", 4, 0, 1000));
    assert_true(spawn_backlog_put(&other, 4, "gone\n", 5, 0, 1000));
    assert_true(spawn_backlog_put(&sink, 4, "two\n", 4, 0, 1000));
    (void)close(other_reader);
    drained = reader;
    spawn_backlog_flush(1000, lose);
    assert_int_equal(lost_lines, 1);
    assert_string_equal(last_lost, "gone\n");
    assert_true(spawn_backlog_has(&sink));
    spawn_backlog_flush(1000, lose); /* both at once */
    assert_false(spawn_backlog_waits());
    drain(reader, text, sizeof(text));
    assert_string_equal(text, "one\ntwo\n");
    (void)close(reader);
    (void)close(sink.fd);
    (void)close(other.fd);
}

static void more_logs_than_there_should_be_lose_nothing(void **state)
{
    enum {
        LOGS = SPAWN_VHOST_LOGS_MAX + 10
    };
    static int readers[LOGS];
    static spawn_sink sinks[LOGS];
    char text[100];
    int i;

    (void)state;
    for (i = 0; i < LOGS; i++) {
        sinks[i] = full_pipe(&readers[i]);
        assert_true(spawn_backlog_put(&sinks[i], 4, "line\n", 5, 0, 1000));
    }
    spawn_backlog_flush(1000, lose);
    for (i = 0; i < LOGS; i++) {
        assert_true(spawn_backlog_has(&sinks[i]));
        drain(readers[i], text, sizeof(text));
    }
    spawn_backlog_flush(1000, lose);
    assert_false(spawn_backlog_waits());
    assert_int_equal(lost_lines, 0);
    for (i = 0; i < LOGS; i++) {
        drain(readers[i], text, sizeof(text));
        assert_string_equal(text, "line\n");
        (void)close(readers[i]);
        (void)close(sinks[i].fd);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, empty)
    const struct CMUnitTest tests[] = {
        T(it_has_so_much_room_and_no_more),
        T(it_can_be_filled_to_the_brim),
        T(lines_wait_for_their_own_log),
        T(lines_of_a_log_that_has_gone_are_given_back_at_once),
        T(lines_of_a_log_stay_in_order),
        T(more_logs_than_there_should_be_lose_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
