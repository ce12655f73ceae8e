/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules of recurring jobs: what is taken, what is refused and why, and the
 * moments that are meant, also where clocks are changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_cron.h"
#include "common/spawn_zone.h"

static spawn_cron cron;
static char why[400];

static void parse(const char *text)
{
    if (spawn_cron_parse(text, &cron, why, sizeof(why)))
        fail_msg("%s: %s", text, why);
}

static int64_t moment(const char *text) /* UTC */
{
    struct tm tm;

    memset(&tm, 0, sizeof(tm));
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return (int64_t)timegm(&tm);
}

static const char *text_of(int64_t when)
{
    static char text[40];
    time_t t = (time_t)when;
    struct tm tm;

    assert_non_null(gmtime_r(&t, &tm));
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

/* Those that follow each other, in UTC. */
static void expect_moments(const char *schedule, const char *zone,
                           const char *from, ...)
{
    int64_t at = moment(from);
    const char *expected;
    va_list all;

    parse(schedule);
    va_start(all, from);
    while ((expected = va_arg(all, const char *)) != NULL) {
        at = spawn_cron_next(&cron, zone, at);
        assert_string_equal(text_of(at), expected);
    }
    va_end(all);
}

static void schedules_mean_these_moments(void **state)
{
    static const struct {
        const char *text, *from, *next;
    } cases[] = {
        {"* * * * *", "2026-03-01 10:00:00", "2026-03-01 10:01:00"},
        {"* * * * *", "2026-03-01 10:00:59", "2026-03-01 10:01:00"},
        {"*/5 * * * *", "2026-03-01 10:55:00", "2026-03-01 11:00:00"},
        {" \t0-30/10   3 * * *", "2026-03-01 03:10:00", "2026-03-01 03:20:00"},
        {"0-30/10 3 * * *", "2026-03-01 03:30:00", "2026-03-02 03:00:00"},
        {"5,7,9-11 * * * *", "2026-03-01 10:07:00", "2026-03-01 10:09:00"},
        {"0 0 29 2 *", "2026-03-01 10:00:00", "2028-02-29 00:00:00"},
        {"0 0 29 2 *", "2096-03-01 10:00:00", "2104-02-29 00:00:00"},
        {"0 0 31 * *", "2026-03-31 10:00:00", "2026-05-31 00:00:00"},
        {"0 12 * jan,MAR *", "2026-03-31 12:00:00", "2027-01-01 12:00:00"},
        {"0 12 * feb-apr *", "2026-01-31 12:00:00", "2026-02-01 12:00:00"},
        {"0 9 * * mon-fri", "2026-03-06 09:00:00", "2026-03-09 09:00:00"},
        {"0 9 * * 0", "2026-03-02 09:00:00", "2026-03-08 09:00:00"},
        {"0 9 * * 7", "2026-03-02 09:00:00", "2026-03-08 09:00:00"},
        {"0 9 * * Sun", "2026-03-02 09:00:00", "2026-03-08 09:00:00"},
        {"0 9 * * fri-sun", "2026-03-07 09:00:00", "2026-03-08 09:00:00"},
        {"0 9 * * 5-7", "2026-03-08 09:00:00", "2026-03-13 09:00:00"},
        {"0 9 * * sun-tue", "2026-03-08 09:00:00", "2026-03-09 09:00:00"},
        /* both restricted: either; a '*' in front: both */
        {"0 0 13 * fri", "2026-03-02 00:00:00", "2026-03-06 00:00:00"},
        {"0 0 13 * fri", "2026-04-10 00:00:00", "2026-04-13 00:00:00"},
        {"0 0 */2 * fri", "2026-03-02 00:00:00", "2026-03-13 00:00:00"},
        {"0 0 13 * */2", "2026-03-02 00:00:00", "2026-06-13 00:00:00"},
        {"@hourly", "2026-03-01 10:00:00", "2026-03-01 11:00:00"},
        {"@daily", "2026-03-01 10:00:00", "2026-03-02 00:00:00"},
        {"@midnight", "2026-03-01 10:00:00", "2026-03-02 00:00:00"},
        {"@weekly", "2026-03-02 10:00:00", "2026-03-08 00:00:00"},
        {"@Monthly", "2026-03-02 10:00:00", "2026-04-01 00:00:00"},
        {"@yearly", "2026-03-02 10:00:00", "2027-01-01 00:00:00"},
        {"@annually", "2026-03-02 10:00:00", "2027-01-01 00:00:00"},
        {"59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"},
        {" @daily", "2026-03-01 10:00:00", "2026-03-02 00:00:00"},
        {"*/1 * * * *", "2026-03-01 10:00:00", "2026-03-01 10:01:00"},
        {"*/59 * * * *", "2026-03-01 10:00:00", "2026-03-01 10:59:00"},
        {"5-5 * * * *", "2026-03-01 10:05:00", "2026-03-01 11:05:00"},
        {"0 9 * * 0-0", "2026-03-08 09:00:00", "2026-03-15 09:00:00"},
        {"0 9 * * fri-sun", "2026-03-08 09:00:00", "2026-03-13 09:00:00"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_moments(cases[i].text, "UTC", cases[i].from, cases[i].next,
                       NULL);
}

/* Over two turns of the calendar, which the C library knows, too. */
static void days_are_those_of_the_calendar(void **state)
{
    const int64_t until = moment("2420-01-01 00:00:00") / 60;
    struct tm tm = {.tm_year = 1600 - 1900, .tm_mday = 1};
    int64_t minute = (int64_t)timegm(&tm) / 60;

    (void)state;
    parse("0 0 1 * *");
    while (minute < until) {
        tm.tm_mon++;
        minute = spawn_cron_after(&cron, minute);
        assert_int_equal(minute * 60, (int64_t)timegm(&tm));
    }
    tm = (struct tm){.tm_year = 1600 - 1900, .tm_mday = 1};
    parse("0 0 1-31 * *");
    for (minute = (int64_t)timegm(&tm) / 60; minute < until; minute += 1440)
        assert_int_equal(spawn_cron_after(&cron, minute), minute + 1440);
    parse("0 0 * * mon");
    for (minute = spawn_cron_after(&cron, moment("1601-01-01 00:00:00") / 60);
         minute < until; minute = spawn_cron_after(&cron, minute)) {
        time_t t = (time_t)(minute * 60);

        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(tm.tm_wday, 1);
    }
}

static void so_long_a_text_is_taken_and_no_longer(void **state)
{
    char text[SPAWN_CRON_TEXT_MAX + 2];

    (void)state;
    memset(text, ' ', sizeof(text));
    memcpy(text, "* * * * *", 9);
    text[SPAWN_CRON_TEXT_MAX] = '\0';
    assert_int_equal(spawn_cron_parse(text, &cron, why, sizeof(why)), 0);
    text[SPAWN_CRON_TEXT_MAX] = ' ';
    text[SPAWN_CRON_TEXT_MAX + 1] = '\0';
    assert_int_equal(spawn_cron_parse(text, &cron, why, sizeof(why)), -EINVAL);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text, *said, *allowed;
    } cases[] = {
        {"", "0 of five fields", "day of week"},
        {"* * * *", "4 of five fields", "@daily"},
        {"0 * * * * *", "more than five fields", "no seconds"},
        {"60 * * * *", "minute: 60 is out of range", "0-59"},
        {"-1 * * * *", "minute: ", "0-59"},
        {"* 24 * * *", "hour: 24 is out of range", "0-23"},
        {"* * 0 * *", "day of month: 0 is out of range", "1-31"},
        {"* * 32 * *", "day of month: 32 is out of range", "1-31"},
        {"* * * 0 *", "month: 0 is out of range", "1-12 or jan-dec"},
        {"* * * 13 *", "month: 13 is out of range", "1-12"},
        {"* * * june *", "month: 'june' is not understood", "jan-dec"},
        {"* * * * 8", "day of week: 8 is out of range", "0-7"},
        {"* * * * mo", "day of week: 'mo' is not understood", "sun-sat"},
        {"* * * mon *", "month: 'mon' is not understood", "jan-dec"},
        {"jan * * * *", "minute: 'jan' is not understood", "0-59"},
        {"1,,2 * * * *", "minute: an item of the list is empty", "0-59"},
        {"1, * * * *", "minute: an item of the list is empty", "0-59"},
        {"5-1 * * * *", "'5-1' ends before it begins", "5-59,0-1"},
        {"* * * * fri-mon", "'fri-mon' ends before it begins", "5-6,0-1"},
        {"*/0 * * * *", "minute: the step '0' is out of range", "1-59"},
        {"*/60 * * * *", "minute: the step '60' is out of range", "1-59"},
        {"* */24 * * *", "hour: the step '24' is out of range", "1-23"},
        {"*/ * * * *", "minute: the step '' is out of range", "1-59"},
        {"*/-5 * * * *", "minute: the step '-5' is out of range", "1-59"},
        {"5/15 * * * *", "a step follows * or a range", "5-59/15"},
        {"*5 * * * *", "minute: '*5' is not understood", "0-59"},
        {"1-2-3 * * * *", "minute: '2-3' is not understood", "0-59"},
        {"? * * * *", "minute: '?' is not understood", "0-59"},
        {"* * L * *", "day of month: 'L' is not understood", "1-31"},
        {"99999999999999999999 * * * *", "minute: ", "0-59"},
        {"0 0 31 2,4,6 *", "it never comes", "day of month"},
        {"0 0 30 feb *", "it never comes", "day of month"},
        {"@reboot", "@reboot is not known here", "@daily"},
        {"@often", "'@often' is not known", "@daily"},
        {"@daily x", "'@daily x' is not known", "@daily"},
        {"\x01\xff\n * * * *", "minute: '?", "0-59"}};
    spawn_cron before;
    char many[600];
    size_t i;

    (void)state;
    parse("1 2 3 4 5");
    before = cron;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rv = spawn_cron_parse(cases[i].text, &cron, why, sizeof(why));

        if (rv != -EINVAL || !strstr(why, cases[i].said)
            || !strstr(why, cases[i].allowed))
            fail_msg("%s: %d %s", cases[i].text, rv, why);
        assert_memory_equal(&cron, &before, sizeof(cron));
    }
    memset(many, '1', sizeof(many) - 1);
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(spawn_cron_parse(many, &cron, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "255 are allowed"));
}

/* Text that nobody means: it is taken or refused, and each that is taken has a
 * moment. */
static void any_text_has_an_end(void **state)
{
    static const char letters[] = "0123456789*/-,\t@janmonsun\xff";
    unsigned seed = 1, i, k, taken = 0;

    (void)state;
    for (i = 0; i < 200000; i++) {
        char text[16];
        unsigned length = 9 + (unsigned)rand_r(&seed) % (sizeof(text) - 9);

        for (k = 0; k < length; k++)
            text[k] =
                k % 2 && k < 9
                    ? ' '
                    : letters[(unsigned)rand_r(&seed) % (sizeof(letters) - 1)];
        text[length] = '\0';
        if (spawn_cron_parse(text, &cron, why, sizeof(why)) == 0) {
            taken++;
            assert_true(spawn_cron_after(&cron, 29000000) > 29000000);
        }
    }
    assert_true(taken > 100);
}

/* Berlin: at 01:00 UTC of 2026-03-29 from 02:00 to 03:00. */
static void what_is_in_a_skipped_hour_comes_behind_it(void **state)
{
    char text[20];
    int i;

    (void)state;
    for (i = 0; i < 60; i++) {
        (void)snprintf(text, sizeof(text), "%d 2 * * *", i);
        expect_moments(text, "Europe/Berlin", "2026-03-28 12:00:00",
                       "2026-03-29 01:00:00", NULL);
    }
    expect_moments("30 2 * * *", "Europe/Berlin", "2026-03-27 12:00:00",
                   "2026-03-28 01:30:00", "2026-03-29 01:00:00",
                   "2026-03-30 00:30:00", NULL);
    /* once for all of them */
    expect_moments("15,45 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
                   "2026-03-29 01:00:00", "2026-03-30 00:15:00", NULL);
    expect_moments("0 3 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
                   "2026-03-29 01:00:00", "2026-03-30 01:00:00", NULL);
}

/* Berlin: at 01:00 UTC of 2026-10-25 from 03:00 to 02:00. */
static void what_is_in_a_repeated_hour_comes_once(void **state)
{
    (void)state;
    expect_moments("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
                   "2026-10-25 00:30:00", "2026-10-26 01:30:00", NULL);
    expect_moments("15,45 2-3 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
                   "2026-10-25 00:15:00", "2026-10-25 00:45:00",
                   "2026-10-25 02:15:00", NULL);
    /* asked for in the second of the two */
    expect_moments("50 2 * * *", "Europe/Berlin", "2026-10-25 01:20:00",
                   "2026-10-26 01:50:00", NULL);
}

static void a_star_goes_by_the_clock_as_it_is(void **state)
{
    (void)state;
    expect_moments("*/30 * * * *", "Europe/Berlin", "2026-03-29 00:00:00",
                   "2026-03-29 00:30:00", "2026-03-29 01:00:00",
                   "2026-03-29 01:30:00", NULL);
    expect_moments("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
                   "2026-03-30 00:00:00", NULL);
    expect_moments("*/30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
                   "2026-10-25 00:00:00", "2026-10-25 00:30:00",
                   "2026-10-25 01:00:00", "2026-10-25 01:30:00",
                   "2026-10-26 01:00:00", NULL);
    /* the minute that is behind those that are skipped */
    expect_moments("* * * * *", "Europe/Berlin", "2026-03-29 00:58:00",
                   "2026-03-29 00:59:00", "2026-03-29 01:00:00",
                   "2026-03-29 01:01:00", NULL);
    /* a day that has the hour twice, and next the same of another year */
    expect_moments("*/30 2 25 10 *", "Europe/Berlin", "2026-10-25 00:30:00",
                   "2026-10-25 01:00:00", "2026-10-25 01:30:00",
                   "2027-10-25 00:00:00", NULL);
    expect_moments("@hourly", "Europe/Berlin", "2026-10-24 23:00:00",
                   "2026-10-25 00:00:00", "2026-10-25 01:00:00",
                   "2026-10-25 02:00:00", NULL);
}

static void the_first_minute_of_1970_is_one(void **state)
{
    (void)state;
    expect_moments("* * * * *", "UTC", "1969-12-31 23:59:00",
                   "1970-01-01 00:00:00", "1970-01-01 00:01:00", NULL);
    expect_moments("0 0 * * *", "UTC", "1969-12-31 23:59:00",
                   "1970-01-01 00:00:00", NULL);
}

/* No text is parsed to one of these. */
static void what_never_comes_has_no_moment(void **state)
{
    (void)state;
    parse("* 1 1 1 *");
    assert_true(cron.wild);
    cron.months = 0;
    assert_int_equal(spawn_cron_next(&cron, "UTC", 1767225600), -1);
    cron.wild = false;
    assert_int_equal(spawn_cron_next(&cron, "UTC", 1767225600), -1);
}

static void odd_zones_are_zones(void **state)
{
    (void)state;
    expect_moments("0 0 * * *", "Asia/Kolkata", "2026-03-01 00:00:00",
                   "2026-03-01 18:30:00", NULL);
    /* 30 minutes, from 02:00 to 01:30, at 15:00 UTC of 2026-04-04 */
    expect_moments("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 00:00:00",
                   "2026-04-04 14:45:00", "2026-04-05 15:15:00", NULL);
    /* a day that was left out: 2011-12-30 */
    expect_moments("0 12 * * *", "Pacific/Apia", "2011-12-29 12:00:00",
                   "2011-12-29 22:00:00", "2011-12-30 10:00:00",
                   "2011-12-30 22:00:00", NULL);
    /* at midnight: 2026-03-28 has none in Asia/Beirut's last week of March */
    expect_moments("0 0 * * *", "Asia/Beirut", "2026-03-28 00:00:00",
                   "2026-03-28 22:00:00", "2026-03-29 21:00:00", NULL);
}

static void the_zone_of_the_process_stays(void **state)
{
    static const char *const zones[] = {"America/New_York", NULL};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        time_t t = 1767225600; /* 2026-01-01 00:00 UTC */
        struct tm before, after;

        if (zones[i])
            (void)setenv("TZ", zones[i], 1);
        else
            (void)unsetenv("TZ");
        tzset();
        assert_non_null(localtime_r(&t, &before));
        expect_moments("0 9 * * *", "Asia/Tokyo", "2026-01-01 00:00:00",
                       "2026-01-02 00:00:00", NULL);
        assert_non_null(localtime_r(&t, &after));
        assert_int_equal(before.tm_gmtoff, after.tm_gmtoff);
        if (zones[i])
            assert_string_equal(getenv("TZ"), zones[i]);
        else
            assert_null(getenv("TZ"));
        if (zones[i]) /* the local one */
            expect_moments("0 9 * * *", "", "2026-01-01 00:00:00",
                           "2026-01-01 14:00:00", NULL);
    }
}

/* Each that was set since the one before was used. */
static void the_local_zone_is_the_one_that_is_set(void **state)
{
    (void)state;
    (void)setenv("TZ", "America/New_York", 1);
    expect_moments("0 9 * * *", "Asia/Tokyo", "2026-01-01 00:00:00",
                   "2026-01-02 00:00:00", NULL);
    (void)setenv("TZ", "Asia/Kolkata", 1);
    expect_moments("0 9 * * *", "", "2026-01-01 00:00:00",
                   "2026-01-01 03:30:00", NULL);
    assert_string_equal(getenv("TZ"), "Asia/Kolkata");
    (void)unsetenv("TZ");
}

/* However long its text is. */
static void a_long_zone_of_the_process_keeps_no_other_away(void **state)
{
    char tz[600] = "/usr/share/zoneinfo";

    (void)state;
    memset(tz + strlen(tz), '/', sizeof(tz) - strlen(tz) - 1);
    (void)strcpy(tz + sizeof(tz) - sizeof("Asia/Kolkata"), "Asia/Kolkata");
    (void)setenv("TZ", tz, 1);
    expect_moments("0 9 * * *", "Asia/Tokyo", "2026-01-01 00:00:00",
                   "2026-01-02 00:00:00", NULL);
    assert_string_equal(getenv("TZ"), tz);
    expect_moments("0 9 * * *", "", "2026-01-01 00:00:00",
                   "2026-01-01 03:30:00", NULL);
    (void)unsetenv("TZ");
}

static void zones_are_those_of_the_machine(void **state)
{
    static const char *const wrong[] = {"",
                                        "Europe",
                                        "Europe/",
                                        "Europe//Berlin",
                                        "Europe/Nowhere",
                                        "/etc/localtime",
                                        "/Europe/Berlin",
                                        "../../../etc/localtime",
                                        "Europe/../Europe/Berlin",
                                        "zone.tab",
                                        "CET-1CEST",
                                        "Bad\nName",
                                        ":Europe/Berlin"};
    const unsigned files = open_count();
    char longer[200];
    size_t i;

    (void)state;
    assert_int_equal(spawn_zone_check("UTC", why, sizeof(why)), 0);
    assert_int_equal(spawn_zone_check("Europe/Berlin", why, sizeof(why)), 0);
    assert_int_equal(spawn_zone_check("Etc/GMT+5", why, sizeof(why)), 0);
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (spawn_zone_check(wrong[i], why, sizeof(why)) != -EINVAL)
            fail_msg("'%s' is taken", wrong[i]);
        assert_non_null(strstr(why, "Europe/Berlin"));
        assert_null(strchr(why, '\n'));
    }
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(spawn_zone_check(longer, why, sizeof(why)), -EINVAL);
    assert_int_equal(open_count(), files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_mean_these_moments),
        cmocka_unit_test(days_are_those_of_the_calendar),
        cmocka_unit_test(so_long_a_text_is_taken_and_no_longer),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(any_text_has_an_end),
        cmocka_unit_test(what_is_in_a_skipped_hour_comes_behind_it),
        cmocka_unit_test(what_is_in_a_repeated_hour_comes_once),
        cmocka_unit_test(a_star_goes_by_the_clock_as_it_is),
        cmocka_unit_test(the_first_minute_of_1970_is_one),
        cmocka_unit_test(what_never_comes_has_no_moment),
        cmocka_unit_test(odd_zones_are_zones),
        cmocka_unit_test(the_zone_of_the_process_stays),
        cmocka_unit_test(the_local_zone_is_the_one_that_is_set),
        cmocka_unit_test(a_long_zone_of_the_process_keeps_no_other_away),
        cmocka_unit_test(zones_are_those_of_the_machine)};

    return cmocka_run_group_tests_name("schedules", tests, NULL, NULL);
}
