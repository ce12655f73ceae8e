/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the log: its form is httpd's, its text is whole, errno is left
 * alone; and counts of several kinds are told each at its time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <poll.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"

static spawn_sink sink;
static char text[65536];

static int begin(void **state)
{
    (void)state;
    sink.fd = spawn_os_memfd("log");
    spawn_log_main(&sink);
    spawn_log_level(SPAWN_LOG_NOTICE);
    return sink.fd < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    spawn_log_counts(INT64_MAX);
    spawn_log_keep_in(-1);
    (void)close(sink.fd);
    return 0;
}

/* The lines since the last time. */
static const char *lines(void)
{
    ssize_t n = pread(sink.fd, text, sizeof(text) - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    assert_int_equal(ftruncate(sink.fd, 0), 0);
    assert_int_equal(lseek(sink.fd, 0, SEEK_SET), 0);
    return text;
}

static unsigned count(const char *in, const char *what)
{
    unsigned n = 0;

    while ((in = strstr(in, what)) != NULL) {
        n++;
        in++;
    }
    return n;
}

static struct timespec wall; /* 0: the clock's own */

int clock_gettime(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_REALTIME || wall.tv_sec == 0)
        return (int)syscall(SYS_clock_gettime, id, ret);
    *ret = wall;
    return 0;
}

/* [Sat Nov 28 07:40:25.123456 2026] [spawn:warn] [pid 7] text */
static void a_line_has_date_level_and_pid(void **state)
{
    char rest[200], wanted[200], *end_of_date;
    struct tm tm = {.tm_isdst = -1};
    long us = 0;
    int year = 0, n = 0;

    (void)state;
    wall = (struct timespec){.tv_sec = time(NULL), .tv_nsec = 987654321};
    spawn_log(SPAWN_LOG_WARN, "MS9999: %s %d", "some text", 7);
    (void)lines();
    end_of_date = strptime(text, "[%a %b %d %H:%M:%S", &tm);
    assert_non_null(end_of_date);
    assert_int_equal(sscanf(end_of_date, ".%6ld %4d] %n", &us, &year, &n), 2);
    assert_int_equal(n, 14);
    tm.tm_year = year - 1900;
    assert_int_equal(mktime(&tm), wall.tv_sec);
    assert_int_equal(us, 987654);
    wall.tv_sec = 0;
    (void)snprintf(rest, sizeof(rest), "%s", end_of_date + n);
    (void)snprintf(wanted, sizeof(wanted),
                   "[spawn:warn] [pid %d] MS9999: some text 7\n",
                   (int)getpid());
    assert_string_equal(rest, wanted);
}

static void each_level_has_its_name(void **state)
{
    static const char *const names[] = {"emerg", "alert",  "crit", "error",
                                        "warn",  "notice", "info", "debug"};
    char wanted[40];
    int level;

    (void)state;
    spawn_log_level(SPAWN_LOG_DEBUG);
    for (level = 0; level < 8; level++) {
        assert_true(spawn_log_wants(level));
        spawn_log(level, "text");
        (void)snprintf(wanted, sizeof(wanted), "[spawn:%s] ", names[level]);
        assert_int_equal(count(lines(), wanted), 1);
    }
    assert_false(spawn_log_wants(8));
    assert_false(spawn_log_wants(-1));
    spawn_log_level(0);
    assert_true(spawn_log_wants(0));
    assert_false(spawn_log_wants(1));
    assert_true(spawn_log_wants(SPAWN_LOG_NOTICE));
    assert_false(spawn_log_wants(SPAWN_LOG_WARN));
}

static void ends_of_lines_are_cut_and_errno_stays(void **state)
{
    (void)state;
    errno = 77;
    spawn_log(SPAWN_LOG_ERR, "a text \n \n");
    assert_int_equal(errno, 77);
    (void)lines();
    assert_string_equal(strstr(text, "] a text") + 2, "a text\n");
    spawn_log(SPAWN_LOG_ERR, " \n");
    (void)lines();
    assert_int_equal(count(text, "\n"), 1);
    spawn_log(SPAWN_LOG_ERR, "%s", "");
    assert_int_equal(count(lines(), "\n"), 1);
}

static void text_of_a_job_is_all_there_in_order(void **state)
{
    static char long_text[9000];
    const char *p;
    size_t i, n = 0;

    (void)state;
    for (i = 0; i < sizeof(long_text); i++)
        long_text[i] = (char)('a' + i % 26);
    spawn_log_output(SPAWN_LOG_ERR, "job x", "stderr", long_text,
                     sizeof(long_text));
    (void)lines();
    for (p = text; (p = strstr(p, "job x stderr: ")) != NULL;) {
        size_t length = strcspn(p += 14, "\n");

        assert_memory_equal(p, long_text + n, length);
        n += length;
    }
    assert_int_equal(n, sizeof(long_text));
    spawn_log_output(SPAWN_LOG_ERR, "job x", "stderr", "", 0);
    assert_int_equal(count(lines(), "job x stderr: \n"), 1);
}

/* The head of a job's line is what somebody gave it: it is cut and escaped. */
static void a_long_head_is_cut_and_escaped(void **state)
{
    char who[600];

    (void)state;
    memset(who, '\n', sizeof(who) - 1);
    who[sizeof(who) - 1] = '\0';
    spawn_log_output(SPAWN_LOG_ERR, who, "stderr", "text", 4);
    (void)lines();
    assert_int_equal(count(text, "\n"), 1);
    assert_int_equal(count(text, "\\n"), 128);
    assert_non_null(strstr(text, "\\ntext\n"));
}

static void one_left_out_is_told_a_minute_later(void **state)
{
    static spawn_few few, other;
    int64_t now = spawn_mono_ms();
    unsigned i;

    (void)state;
    errno = 77;
    for (i = 0; i < 3; i++)
        spawn_log_few_of(&few, "uid 1", 2, SPAWN_LOG_WARN, "MS9991: text");
    assert_int_equal(errno, 77);
    assert_int_equal(count(lines(), "MS9991"), 2);
    assert_in_range(spawn_log_due(), now + SPAWN_FEW_MS,
                    spawn_mono_ms() + SPAWN_FEW_MS);
    now = spawn_log_due();
    (void)poll(NULL, 0, 3);
    for (i = 0; i < 5; i++)
        spawn_log_few_of(&other, "uid 2", 2, SPAWN_LOG_ERR, "MS9992: text");
    assert_int_equal(spawn_log_due(), now); /* the first that is due */
    (void)lines();
    spawn_log_counts(now - 1);
    assert_string_equal(lines(), "");
    spawn_log_counts(now);
    (void)lines();
    assert_int_equal(count(text, "\n"), 1);
    assert_non_null(strstr(text, "warn"));
    assert_non_null(
        strstr(text, "MS0375: 1 more lines like MS9991 were left out within a "
                     "minute (uid 1)\n"));
    assert_true(spawn_log_due() > now);
    assert_in_range(spawn_log_due(), now, spawn_mono_ms() + SPAWN_FEW_MS);
    spawn_log_counts(spawn_log_due());
    (void)lines();
    assert_int_equal(count(text, "\n"), 1);
    assert_non_null(strstr(text, "3 more lines like MS9992"));
    assert_int_equal(spawn_log_due(), 0);
    spawn_log_counts(INT64_MAX);
    assert_string_equal(lines(), "");
}

static void what_is_not_wanted_is_not_counted(void **state)
{
    static spawn_few few;
    unsigned i;

    (void)state;
    for (i = 0; i < 9; i++)
        spawn_log_few_of(&few, "uid 1", 2, SPAWN_LOG_INFO, "MS9993: text");
    assert_string_equal(lines(), "");
    assert_int_equal(spawn_log_due(), 0);
}

static void causes_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(spawn_log_uid(33), "uid 33");
    assert_string_equal(spawn_log_uid(-1), "uid -1");
    assert_string_equal(spawn_log_about("queue", "mail"), "queue mail");
}

/* Neither the log nor the file for that take it: it is told when the log takes
 * lines again, once. */
static void what_was_dropped_is_counted_once(void **state)
{
    spawn_sink broken = {open("/dev/full", O_WRONLY | O_CLOEXEC), 0, ""};

    (void)state;
    spawn_log_main(&broken);
    errno = 77;
    spawn_log(SPAWN_LOG_ERR, "one");
    spawn_log(SPAWN_LOG_ERR, "two");
    assert_int_equal(errno, 77);
    spawn_log_main(&sink);
    assert_string_equal(lines(), "");
    spawn_log(SPAWN_LOG_ERR, "three");
    (void)lines();
    assert_int_equal(count(text, "MS0301: 2 log lines were dropped"), 1);
    assert_int_equal(count(text, "three\n"), 1);
    assert_int_equal(count(text, "\n"), 2);
    spawn_log(SPAWN_LOG_ERR, "four");
    assert_int_equal(count(lines(), "\n"), 1);
    (void)close(broken.fd);
}

/* The disk with the file for it may be full, too. */
static void what_cannot_be_kept_was_dropped(void **state)
{
    spawn_sink broken = {open("/dev/full", O_WRONLY | O_CLOEXEC), 0, ""};

    (void)state;
    spawn_log_keep_in(broken.fd);
    spawn_log_main(&broken);
    spawn_log(SPAWN_LOG_ERR, "one");
    spawn_log_main(&sink);
    spawn_log_counts(spawn_mono_ms()); /* no other line is needed */
    (void)lines();
    assert_int_equal(count(text, "MS0301: 1 log lines were dropped"), 1);
    assert_int_equal(count(text, "MS0376"), 0);
    assert_int_equal(count(text, "\n"), 1);
    spawn_log_counts(spawn_mono_ms());
    assert_string_equal(lines(), "");
    (void)close(broken.fd);
}

static void what_is_kept_is_told_once(void **state)
{
    spawn_sink broken = {open("/dev/full", O_WRONLY | O_CLOEXEC), 0, ""};
    int kept = spawn_os_memfd("kept");
    struct stat st;

    (void)state;
    spawn_log_keep_in(kept);
    spawn_log_main(&broken);
    spawn_log(SPAWN_LOG_ERR, "one");
    assert_int_equal(fstat(kept, &st), 0);
    assert_true(st.st_size > 0);
    spawn_log_main(&sink);
    spawn_log(SPAWN_LOG_ERR, "two");
    (void)lines();
    assert_int_equal(count(text, "MS0376: 1 log lines are in the file"), 1);
    assert_int_equal(count(text, "MS0301"), 0);
    assert_int_equal(count(text, "two\n"), 1);
    spawn_log(SPAWN_LOG_ERR, "three");
    assert_int_equal(count(lines(), "\n"), 1);
    (void)close(broken.fd);
    (void)close(kept);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_line_has_date_level_and_pid),
        T(each_level_has_its_name),
        T(ends_of_lines_are_cut_and_errno_stays),
        T(text_of_a_job_is_all_there_in_order),
        T(a_long_head_is_cut_and_escaped),
        T(one_left_out_is_told_a_minute_later),
        T(what_is_not_wanted_is_not_counted),
        T(causes_have_their_names),
        T(what_was_dropped_is_counted_once),
        T(what_cannot_be_kept_was_dropped),
        T(what_is_kept_is_told_once),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("log_line", tests, NULL, NULL);
}
