/* SPDX-License-Identifier: Apache-2.0 */
/* A log that takes nothing for a moment: nobody waits, no line is lost or
 * overtakes another, and what cannot be written in time is kept in a file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "common/spawn_backlog.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"

#define PIPE_BYTES 4096

/* ---- the log is a pipe ---- */

static int reader = -1;
static int kept = -1;
static char path[] = "/tmp/spawn-backlog-XXXXXX";

static bool read_meanwhile;
static char came[8192];

/* The log may be read at any moment, also between two tries to write. */
ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at,
               size_t length, unsigned flags)
{
    ssize_t rv = syscall(SYS_splice, from, from_at, to, to_at, length, flags);
    size_t n = strlen(came);
    int saved = errno;

    if (read_meanwhile && read(reader, came + n, sizeof(came) - 1 - n) > 0)
        read_meanwhile = false;
    errno = saved;
    return rv;
}

static int make_pipe(int *ret_reader)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) >= 0);
    assert_true(fcntl(ends[0], F_SETFL, O_NONBLOCK) >= 0);
    *ret_reader = ends[0];
    return ends[1];
}

static int begin(void **state)
{
    spawn_sink sink = {-1, 0, ""};

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)strcpy(path + sizeof(path) - 7, "XXXXXX");
    kept = mkostemp(path, O_APPEND | O_CLOEXEC);
    sink.fd = make_pipe(&reader);
    spawn_log_keep_in(kept);
    spawn_log_main(&sink);
    return kept < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    (void)close(reader);
    spawn_log_counts(INT64_MAX);
    spawn_log_keep_in(-1);
    (void)close(kept);
    (void)unlink(path);
    return 0;
}

static void say(unsigned from, unsigned to)
{
    for (; from <= to; from++)
        spawn_log(SPAWN_LOG_NOTICE, "MS9999: line %u.", from);
}

static size_t take(int fd, char *text, size_t room)
{
    size_t n = 0;
    ssize_t more;

    while (n + 1 < room && (more = read(fd, text + n, room - n - 1)) > 0)
        n += (size_t)more;
    text[n] = '\0';
    return n;
}

/* The lines from..to stand in the text in this order. */
static void assert_lines(const char *text, unsigned from, unsigned to)
{
    char line[32];

    for (; from <= to; from++) {
        (void)snprintf(line, sizeof(line), "MS9999: line %u.\n", from);
        text = strstr(text, line);
        assert_non_null(text);
        text++;
    }
}

/* All that comes through the log's pipe while it is read. */
static void take_all(char *text, size_t room)
{
    size_t n = take(reader, text, room);
    unsigned i;

    for (i = 0; i < 10000 && spawn_backlog_waits(); i++) {
        spawn_log_counts(spawn_mono_ms());
        n += take(reader, text + n, room - n);
    }
}

static size_t kept_bytes(void)
{
    return (size_t)lseek(kept, 0, SEEK_END);
}

static void lines_wait_and_come_in_order(void **state)
{
    static char text[262144];
    int64_t now;

    (void)state;
    say(1, 500);
    assert_true(spawn_backlog_waits());
    now = spawn_mono_ms();
    assert_in_range(spawn_log_due(), now + 2, spawn_mono_ms() + 20);
    take_all(text, sizeof(text));
    assert_lines(text, 1, 500);
    assert_int_equal(kept_bytes(), 0);
    assert_null(strstr(text, "MS0301"));
    assert_null(strstr(text, "MS0376"));
}

static void none_overtakes_another(void **state)
{
    static char text[262144];

    (void)state;
    say(1, 10);
    assert_true(spawn_backlog_waits());
    came[0] = '\0';
    read_meanwhile = true; /* when 2 could not be written */
    say(11, 11);
    assert_false(read_meanwhile);
    (void)strcpy(text, came);
    take_all(text + strlen(text), sizeof(text) - strlen(text));
    assert_lines(text, 1, 11);
}

/* Counts that fall due at the end, too. */
static void what_waits_at_the_end_is_kept(void **state)
{
    static char text[262144];
    unsigned i;

    (void)state;
    say(1, 10);
    for (i = 0; i < 3; i++)
        spawn_log_few("uid 1", 1, SPAWN_LOG_WARN, "MS9998: text");
    spawn_log_counts(INT64_MAX);
    assert_false(spawn_backlog_waits());
    (void)take(reader, text, sizeof(text));
    (void)lseek(kept, 0, SEEK_SET);
    (void)take(kept, text + strlen(text), sizeof(text) - strlen(text));
    assert_lines(text, 1, 10);
    assert_non_null(strstr(text, "MS0375: 2 more lines like MS9998 "));
}

static void what_waits_too_long_is_kept(void **state)
{
    static char text[262144];

    (void)state;
    say(1, 100);
    spawn_log_counts(spawn_mono_ms() + 9000);
    assert_int_equal(kept_bytes(), 0);
    spawn_log_counts(spawn_mono_ms() + 11000);
    assert_true(kept_bytes() > 0);
    assert_false(spawn_backlog_waits());
    (void)take(reader, text, sizeof(text));
    (void)lseek(kept, 0, SEEK_SET);
    (void)take(kept, text + strlen(text), sizeof(text) - strlen(text));
    assert_lines(text, 1, 100);
    say(101, 101);
    take_all(text, sizeof(text));
    assert_non_null(strstr(text, "MS0376: "));
    assert_lines(text, 101, 101);
}

/* More than there is room for: what is kept is told behind those that waited.
 */
static void what_is_kept_is_told_behind_what_waits(void **state)
{
    static char text[1 << 20];
    const char *p, *last = NULL;

    (void)state;
    say(1, 5000);
    assert_true(kept_bytes() > 0);
    take_all(text, sizeof(text));
    assert_false(spawn_backlog_waits());
    spawn_log_counts(spawn_mono_ms()); /* there is room for it, too */
    (void)take(reader, text + strlen(text), sizeof(text) - strlen(text));
    assert_non_null(strstr(text, "MS0376: "));
    for (p = text; (p = strstr(p, "MS9999: ")) != NULL; p++)
        last = p;
    assert_true(last && last < strstr(text, "MS0376: "));
}

static void what_nobody_reads_is_kept_at_once(void **state)
{
    static char text[4096];

    (void)state;
    (void)close(reader);
    say(1, 3);
    assert_false(spawn_backlog_waits());
    (void)lseek(kept, 0, SEEK_SET);
    (void)take(kept, text, sizeof(text));
    assert_lines(text, 1, 3);
    reader = -1;
}

static void the_kept_file_has_a_limit(void **state)
{
    static char text[8192];
    spawn_sink sink = {-1, 0, ""};
    unsigned i;

    (void)state;
    (void)close(reader);
    for (i = 0; i < 30000; i++)
        say(1, 1);
    assert_true(kept_bytes() > SPAWN_LOG_KEPT_MAX - 4096);
    assert_true(kept_bytes() <= SPAWN_LOG_KEPT_MAX);
    sink.fd = make_pipe(&reader);
    spawn_log_main(&sink);
    say(2, 2);
    take_all(text, sizeof(text));
    assert_non_null(strstr(text, " log lines were dropped"));
    assert_lines(text, 2, 2);
}

static void one_log_does_not_hold_up_another(void **state)
{
    static char text[262144];
    spawn_sink other = {-1, 0, ""};
    int others_reader;
    size_t n = 0;
    unsigned i;

    (void)state;
    other.fd = make_pipe(&others_reader);
    spawn_log_to(&other);
    say(1, 200);
    spawn_log_to(NULL);
    assert_true(spawn_backlog_has(&other));
    say(201, 203);
    for (i = 0; i < 10; i++) {
        n += take(reader, text + n, sizeof(text) - n);
        spawn_log_counts(spawn_mono_ms());
    }
    assert_lines(text, 201, 203);
    (void)close(others_reader);
    spawn_log_counts(INT64_MAX);
    (void)close(other.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_wait_and_come_in_order, begin,
                                        end),
        cmocka_unit_test_setup_teardown(none_overtakes_another, begin, end),
        cmocka_unit_test_setup_teardown(what_waits_at_the_end_is_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_waits_too_long_is_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_kept_is_told_behind_what_waits,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_nobody_reads_is_kept_at_once,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_kept_file_has_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(one_log_does_not_hold_up_another, begin,
                                        end),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
