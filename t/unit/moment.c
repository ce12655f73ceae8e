/* SPDX-License-Identifier: Apache-2.0 */
/* Moments as people write them, and times after which a job does not start:
 * what each text means, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "t/unit/corner.h"

#include "common/spawn_moment.h"
#include "common/spawn_rule.h"

#define UNTOUCHED 12345

static void each_text_means_one_moment(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"0", 0},
                 {"1", 1000},
                 {"1900000000", 1900000000000},
                 {"1900000000.5", 1900000000500},
                 {"1900000000.1239", 1900000000123},
                 {"253402300799", 253402300799000},
                 {"1970-01-01T00:00:00Z", 0},
                 {"1970-01-01T01:00:00+01:00", 0},
                 {"2030-01-31T17:30:00Z", 1896111000000},
                 {"2030-01-31t17:30:00z", 1896111000000},
                 {"2030-01-31 17:30Z", 1896111000000},
                 {"2030-01-31 17:30:00 Z", 1896111000000},
                 {"2030-01-31T18:30:00+01:00", 1896111000000},
                 {"2030-01-31T18:30:00+0100", 1896111000000},
                 {"2030-01-31T18:30:00+01", 1896111000000},
                 {"2030-01-31T12:00:00-05:30", 1896111000000},
                 {"2030-01-31T17:30:00.25Z", 1896111000250},
                 {"2030-01-31T17:30:00,25Z", 1896111000250},
                 {"2030-02-01T17:29:00+23:59", 1896111000000},
                 {"2030-01-30T17:31:00-23:59", 1896111000000},
                 {"2024-02-29T00:00:00Z", 1709164800000},
                 {"2000-02-29T00:00:00Z", 951782400000},
                 {"2016-12-31T23:59:60Z", 1483228800000},
                 {"9999-12-31T23:59:59.999Z", SPAWN_MOMENT_MAX_MS}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = UNTOUCHED;

        if (spawn_parse_moment(cases[i].text, &ms) || ms != cases[i].ms)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)ms);
    }
}

static void other_texts_are_refused(void **state)
{
    static const struct {
        const char *text;
        int rv;
    } cases[] = {{"", -EINVAL},
                 {"tomorrow", -EINVAL},
                 {"-1", -EINVAL},
                 {"+5", -EINVAL},
                 {"0x10", -EINVAL},
                 {"1e9", -EINVAL},
                 {"1.", -EINVAL},
                 {"1 ", -EINVAL},
                 {"1896111000000", -ERANGE}, /* milliseconds */
                 {"99999999999999999999999", -ERANGE},
                 {"18446744073709551617", -ERANGE}, /* 1 in 64 bits */
                 {"2030-01-31", -EINVAL},
                 {"2030-01-31T17:30:00", -EINVAL}, /* of which zone? */
                 {"2030-01-31T17:30:00 CET", -EINVAL},
                 {"2030-01-31T17:30:00Zx", -EINVAL},
                 {"2030-01-31T17Z", -EINVAL},
                 {"2030-01-31T24:00:00Z", -EINVAL},
                 {"2030-01-31T17:60:00Z", -EINVAL},
                 {"2030-01-31T17:30:61Z", -EINVAL},
                 {"2030-01-31T17:30:00+24:00", -EINVAL},
                 {"2030-01-31T17:30:00+01:60", -EINVAL},
                 {"2030-01-31T17:30:00.Z", -EINVAL},
                 {"2030-00-31T17:30:00Z", -EINVAL},
                 {"2030-13-31T17:30:00Z", -EINVAL},
                 {"2030-01-00T17:30:00Z", -EINVAL},
                 {"2030-04-31T17:30:00Z", -EINVAL},
                 {"2030-02-29T17:30:00Z", -EINVAL},
                 {"2100-02-29T17:30:00Z", -EINVAL},
                 {"2030-1-31T17:30:00Z", -EINVAL},
                 {"2030-01T17:30:00Z", -EINVAL},
                 {"2030-01-3/T17:30:00Z", -EINVAL}, /* '/' is '0' - 1 */
                 {"2030-01-31T1:30:00Z", -EINVAL},
                 {"2030-01-31T17:30:00+", -EINVAL},
                 {"2030-01-31T17:30:00+1", -EINVAL},
                 {"2030-01-31T17:30:00+01:", -EINVAL},
                 {"2030-01-31T17:30:00+01:3", -EINVAL},
                 {"2030-01-31T17:30:00+013", -EINVAL},
                 {"0000-01-31T17:30:00Z", -EINVAL},
                 {"0001-01-01T00:00:00Z", -ERANGE},
                 {"1969-12-31T23:59:59Z", -ERANGE},
                 {"1970-01-01T00:00:00+01:00", -ERANGE},
                 {"9999-12-31T23:59:59-01:00", -ERANGE}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = UNTOUCHED, good;
        int rv;

        /* of another text nothing is left */
        assert_int_equal(spawn_parse_moment("2030-01-31T17:30:00+01:00", &good),
                         0);
        rv = spawn_parse_moment(cases[i].text, &ms);
        if (rv != cases[i].rv || ms != UNTOUCHED)
            fail_msg("%s: %d", cases[i].text, rv);
    }
}

static void a_date_is_told_from_a_number(void **state)
{
    static const char *const others[] = {"",      "2",     "203",    "2030",
                                         "20301", "-030-", "2-30-",  "203x-",
                                         "none",  "20 0-", "2030:01"};
    size_t i;

    (void)state;
    assert_true(spawn_looks_like_a_date("2030-"));
    assert_true(spawn_looks_like_a_date("0000-01"));
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const char *end =
            (const char *)at_the_end(others[i], strlen(others[i]) + 1);

        if (spawn_looks_like_a_date(end))
            fail_msg("%s", end);
    }
}

/* The C library knows the calendar, too. */
static void every_day_of_some_centuries_is_its_own(void **state)
{
    int64_t day;

    (void)state;
    for (day = 0; day < 2932897; day += 1) { /* to the end of 9999 */
        time_t seconds = (time_t)day * 86400;
        char text[80];
        struct tm tm;
        uint64_t ms;

        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:00Z",
                       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        if (spawn_parse_moment(text, &ms) || ms != (uint64_t)seconds * 1000)
            fail_msg("%s: %llu", text, (unsigned long long)ms);
    }
}

static void a_job_expires_after_a_time_or_at_a_moment(void **state)
{
    uint64_t v;

    (void)state;
    assert_int_equal(spawn_parse_expiry("90", &v), 0);
    assert_true(v == 90000);
    assert_int_equal(spawn_parse_expiry("2h", &v), 0);
    assert_true(v == 7200000);
    assert_int_equal(spawn_parse_expiry("none", &v), 0);
    assert_true(v == 0);
    assert_int_equal(spawn_parse_expiry("2030-01-31T17:30:00Z", &v), 0);
    assert_true(v == (1896111000000 | SPAWN_EXPIRES_MOMENT));
    assert_int_equal(spawn_parse_expiry("1896111000", &v), -ERANGE);
    assert_int_equal(spawn_parse_expiry("soon", &v), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_means_one_moment),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(a_date_is_told_from_a_number),
        cmocka_unit_test(every_day_of_some_centuries_is_its_own),
        cmocka_unit_test(a_job_expires_after_a_time_or_at_a_moment)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}
