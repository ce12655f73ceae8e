/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moments of the wall clock as text. Runs in every process. Must keep no state
 * and allocate nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_moment.h"

/* So many digits, as a number. False: they are not there. */
static bool digits(const char **at, int count, int *ret)
{
    int value = 0;

    while (count-- > 0) {
        if (!isdigit((unsigned char)**at))
            return false;
        value = value * 10 + (*(*at)++ - '0');
    }
    *ret = value;
    return true;
}

static bool one(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 on, of the years from 1 on. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400;
    int m;

    for (m = 1; m < month; m++)
        days += days_of(year, m);
    return days + day - 1 - 719162;
}

static bool date(const char **at, int64_t *ret_days)
{
    int year, month, day;

    if (!digits(at, 4, &year) || !one(at, '-') || !digits(at, 2, &month)
        || !one(at, '-') || !digits(at, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1
        || day > days_of(year, month))
        return false;
    *ret_days = days_since_1970(year, month, day);
    return true;
}

/* After a full stop or a comma; digits after the third do not count. */
static bool fraction(const char **at, int *ret_ms)
{
    int weight = 100;

    *ret_ms = 0;
    if (!one(at, '.') && !one(at, ','))
        return true;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, weight /= 10)
        *ret_ms += (**at - '0') * weight;
    return true;
}

static bool time_of_day(const char **at, int64_t *ret_ms)
{
    int hour, minute, second = 0, ms = 0;

    if (!digits(at, 2, &hour) || !one(at, ':') || !digits(at, 2, &minute))
        return false;
    if (one(at, ':') && (!digits(at, 2, &second) || !fraction(at, &ms)))
        return false;
    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
        return false;
    *ret_ms = ((hour * 60 + minute) * 60 + second) * 1000ll + ms;
    return true;
}

static bool zone(const char **at, int64_t *ret_ms)
{
    int hour, minute = 0, sign = **at == '-' ? -1 : 1;

    if (one(at, 'Z') || one(at, 'z')) {
        *ret_ms = 0;
        return true;
    }
    if (!one(at, '+') && !one(at, '-'))
        return false;
    if (!digits(at, 2, &hour))
        return false;
    if ((one(at, ':') || **at) && !digits(at, 2, &minute))
        return false;
    if (hour > 23 || minute > 59)
        return false;
    *ret_ms = sign * (hour * 60 + minute) * 60000ll;
    return true;
}

bool spawn_looks_like_a_date(const char *text)
{
    int i;

    for (i = 0; i < 4; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return text[4] == '-';
}

static int of_date(const char *text, uint64_t *ret_ms)
{
    int64_t days, of_day, of_zone, ms;

    if (!date(&text, &days)
        || (!one(&text, 'T') && !one(&text, ' ') && !one(&text, 't')))
        return -EINVAL;
    if (!time_of_day(&text, &of_day))
        return -EINVAL;
    (void)one(&text, ' ');
    if (!zone(&text, &of_zone) || *text)
        return -EINVAL;
    ms = days * 86400000 + of_day - of_zone;
    if (ms < 0 || ms > (int64_t)SPAWN_MOMENT_MAX_MS)
        return -ERANGE;
    *ret_ms = (uint64_t)ms;
    return 0;
}

int spawn_parse_moment(const char *text, uint64_t *ret_ms)
{
    const char *p = text;
    uint64_t seconds = 0;
    int ms;

    if (spawn_looks_like_a_date(text))
        return of_date(text, ret_ms);
    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    for (; isdigit((unsigned char)*p); p++) {
        if (seconds < SPAWN_MOMENT_MAX_MS) /* more stays too much */
            seconds = seconds * 10 + (uint64_t)(*p - '0');
    }
    if (!fraction(&p, &ms) || *p)
        return -EINVAL;
    if (seconds > SPAWN_MOMENT_MAX_MS / 1000)
        return -ERANGE;
    *ret_ms = seconds * 1000 + (uint64_t)ms;
    return 0;
}
