/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that somebody can cause at will: a few lines a minute for each who
 * does, then only a count; and the count is told, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "common/spawn_few.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"

static unsigned say(spawn_few *few, const char *about, unsigned times,
                    int64_t now)
{
    unsigned said = 0;

    while (times-- > 0)
        said += spawn_few_may(few, about, 5, now);
    return said;
}

static void few_are_said_and_the_rest_is_counted(void **state)
{
    spawn_few few = {0};
    spawn_few_entry over;

    (void)state;
    assert_int_equal(say(&few, "uid 33", 7436, 1000), 5);
    assert_int_equal(spawn_few_next(&few), 61000);
    assert_false(spawn_few_over(&few, 60999, &over));
    assert_true(spawn_few_over(&few, 61000, &over));
    assert_string_equal(over.about, "uid 33");
    assert_int_equal(over.left_out, 7431);
    assert_false(spawn_few_over(&few, 61000, &over));
    assert_int_equal(spawn_few_next(&few), 0);
    assert_int_equal(say(&few, "uid 33", 9, 61000), 5);
}

static void who_says_little_is_not_counted(void **state)
{
    spawn_few few = {0};
    spawn_few_entry over;

    (void)state;
    assert_int_equal(say(&few, "uid 33", 5, 1000), 5);
    assert_int_equal(spawn_few_next(&few), 0);
    assert_false(spawn_few_over(&few, 61000, &over));
    assert_int_equal(say(&few, "uid 33", 5, 61000), 5);
}

static void one_does_not_silence_another(void **state)
{
    spawn_few few = {0};

    (void)state;
    assert_int_equal(say(&few, "uid 33", 100, 1000), 5);
    assert_int_equal(say(&few, "uid 34", 100, 1000), 5);
}

static void many_accounts_get_no_more_lines(void **state)
{
    spawn_few few = {0};
    spawn_few_entry over;
    unsigned said = 0, uid;
    unsigned long left_out = 0;
    char about[32];

    (void)state;
    for (uid = 0; uid < 10000; uid++) {
        (void)snprintf(about, sizeof(about), "uid %u", uid);
        said += say(&few, about, 10, 1000);
    }
    assert_int_equal(said, 5 * (SPAWN_FEW_KEYS + 1));
    while (spawn_few_over(&few, INT64_MAX, &over))
        left_out += over.left_out;
    assert_int_equal(left_out, 100000 - said);
}

/* ---- in the log ---- */

static int64_t later; /* ms */

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int rv = (int)syscall(SYS_clock_gettime, id, ret);

    if (id == CLOCK_MONOTONIC)
        ret->tv_sec += later / 1000;
    return rv;
}

static int real_stderr;
static char path[] = "/tmp/spawn-log-few-XXXXXX";

static void begin(void)
{
    int fd;

    (void)strcpy(path + sizeof(path) - 7, "XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    real_stderr = dup(2);
    assert_true(dup2(fd, 2) == 2);
    (void)close(fd);
}

static size_t end(char *text, size_t room)
{
    FILE *in = fopen(path, "r");
    size_t n;

    assert_true(dup2(real_stderr, 2) == 2);
    (void)close(real_stderr);
    assert_non_null(in);
    n = fread(text, 1, room - 1, in);
    text[n] = '\0';
    (void)fclose(in);
    (void)unlink(path);
    return n;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    while ((text = strstr(text, what))) {
        text++;
        n++;
    }
    return n;
}

static void the_log_has_few_lines_and_the_count(void **state)
{
    char text[8192];
    int64_t now = spawn_mono_ms();
    unsigned i;

    (void)state;
    begin();
    for (i = 0; i < 1000; i++)
        spawn_log_few(spawn_log_uid(33), 5, SPAWN_LOG_WARN,
                      "MS9999: a caller does what %s", "it must not");
    assert_true(spawn_log_due() >= now + SPAWN_FEW_MS);
    spawn_log_counts(now); /* too early */
    spawn_log_counts(now + SPAWN_FEW_MS + 60000);
    assert_int_equal(spawn_log_due(), 0);
    spawn_log_counts(INT64_MAX);
    (void)end(text, sizeof(text));
    assert_int_equal(count(text, "MS9999: a caller does what it must not\n"),
                     5);
    assert_int_equal(count(text, "\n"), 6);
    assert_int_equal(count(text, "[spawn:warn] [pid "), 6);
    assert_int_equal(count(text, "MS0375: 995 more lines like MS9999 were left "
                                 "out within a minute (uid 33)\n"),
                     1);
}

/* Few of the last minute are none of this one, when no count fell due. */
static void each_minute_has_its_lines(void **state)
{
    char text[8192];
    unsigned minute, i;

    (void)state;
    begin();
    for (minute = 0; minute < 3; minute++) {
        for (i = 0; i < 3; i++)
            spawn_log_few(spawn_log_uid(34), 3, SPAWN_LOG_WARN,
                          "MS9994: in minute %u", minute);
        later += SPAWN_FEW_MS;
    }
    assert_int_equal(spawn_log_due(), 0);
    (void)end(text, sizeof(text));
    assert_int_equal(count(text, "MS9994"), 9);
    assert_int_equal(count(text, "\n"), 9);
}

static void levels_are_obeyed_and_notice_is_always_there(void **state)
{
    char text[8192];

    (void)state;
    begin();
    spawn_log_level(SPAWN_LOG_WARN);
    spawn_log(SPAWN_LOG_INFO, "MS9998: info");
    spawn_log(SPAWN_LOG_NOTICE, "MS9997: notice");
    spawn_log(SPAWN_LOG_WARN, "MS9996: warn");
    spawn_log_output(SPAWN_LOG_ERR, "job x", "stderr", "an error", 8);
    spawn_log_level(SPAWN_LOG_CRIT);
    spawn_log_output(SPAWN_LOG_ERR, "job x", "stderr", "unseen", 6);
    spawn_log_level(SPAWN_LOG_NOTICE);
    (void)end(text, sizeof(text));
    assert_null(strstr(text, "info"));
    assert_non_null(strstr(text, "[spawn:notice]"));
    assert_non_null(strstr(text, "MS9997: notice\n"));
    assert_non_null(strstr(text, "MS9996: warn\n"));
    assert_non_null(strstr(text, "job x stderr: an error\n"));
    assert_null(strstr(text, "unseen"));
}

/* All of it is there, in lines that are written whole. */
static void a_long_line_becomes_several(void **state)
{
    static char long_text[2000], text[65536];
    size_t i, n;

    (void)state;
    memset(long_text, 1, sizeof(long_text));
    begin();
    spawn_log_output(SPAWN_LOG_ERR, "job x", "stderr", long_text,
                     sizeof(long_text));
    n = end(text, sizeof(text));
    assert_int_equal(count(text, "\\x01"), sizeof(long_text));
    assert_true(count(text, "job x stderr: ") >= 2);
    for (i = 0; i < n;) {
        size_t length = strcspn(text + i, "\n") + 1;

        assert_true(length <= 4096);
        i += length;
    }
}

/* However often it is said, the minute is that of the first. */
static void a_minute_begins_with_the_first_line(void **state)
{
    spawn_few few = {0};
    spawn_few_entry over;

    (void)state;
    (void)say(&few, "uid 33", 10, 1000);
    (void)say(&few, "uid 33", 10, 60000);
    assert_int_equal(spawn_few_next(&few), 61000);
    assert_true(spawn_few_over(&few, 61000, &over));
    assert_int_equal(over.left_out, 15);
}

static void those_without_a_place_are_counted_as_others(void **state)
{
    spawn_few few = {0};
    spawn_few_entry over;
    unsigned uid;
    char about[32];

    (void)state;
    for (uid = 0; uid < SPAWN_FEW_KEYS; uid++) {
        (void)snprintf(about, sizeof(about), "uid %u", uid);
        assert_int_equal(say(&few, about, 1, 1000), 1);
    }
    assert_int_equal(spawn_few_next(&few), 0);
    (void)say(&few, "uid 77", 4, 2000);
    (void)say(&few, "uid 78", 4, 2000);
    assert_int_equal(spawn_few_next(&few), 62000);
    assert_true(spawn_few_over(&few, 62000, &over));
    assert_string_equal(over.about, "others");
    assert_int_equal(over.left_out, 3);
}

/* As long as it fits. */
static void long_names_are_told_apart(void **state)
{
    char a[SPAWN_FEW_ABOUT + 8], b[SPAWN_FEW_ABOUT + 8];
    spawn_few few = {0};

    (void)state;
    memset(a, 'x', sizeof(a) - 1);
    a[sizeof(a) - 1] = '\0';
    memcpy(b, a, sizeof(b));
    b[SPAWN_FEW_ABOUT - 2] = 'y';
    assert_int_equal(say(&few, a, 10, 1000), 5);
    assert_int_equal(say(&few, b, 10, 1000), 5);
    a[SPAWN_FEW_ABOUT] = 'z'; /* is cut off */
    assert_int_equal(say(&few, a, 10, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_said_and_the_rest_is_counted),
        cmocka_unit_test(who_says_little_is_not_counted),
        cmocka_unit_test(one_does_not_silence_another),
        cmocka_unit_test(many_accounts_get_no_more_lines),
        cmocka_unit_test(a_minute_begins_with_the_first_line),
        cmocka_unit_test(those_without_a_place_are_counted_as_others),
        cmocka_unit_test(long_names_are_told_apart),
        cmocka_unit_test(the_log_has_few_lines_and_the_count),
        cmocka_unit_test(each_minute_has_its_lines),
        cmocka_unit_test(levels_are_obeyed_and_notice_is_always_there),
        cmocka_unit_test(a_long_line_becomes_several),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
