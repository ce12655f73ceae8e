/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next moment of a schedule. Runs in the httpd parent and in the broker.
 * Must come to an end for each schedule: one that is not found within a cycle
 * of leap years never comes.
 *
 * The calendar knows nothing of zones: it counts minutes as a clock on the wall
 * shows them. A zone's offset says which moment that is. Where clocks are
 * changed it is done as Debian's cron does it: see cron(8).
 */
#include "common/spawn_cron_next.h"

#include <time.h>

#include "common/spawn_zone.h"

#define DAY_MINUTES 1440
#define DAY         86400
#define LOOK_DAYS   (9 * 366) /* 2096 and 2104 have a 29 February */
#define LOOK_STEP   (12 * 3600)

/* ---- the calendar ---- */

typedef struct {
    unsigned day, month, weekday;
} date;

/* Days from 1970-01-01 (H. Hinnant, chrono-compatible low-level date
 * algorithms). */
static date date_of(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    unsigned of_era = (unsigned)(shifted - era * 146097);
    unsigned year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    int64_t weekday = (days + 4) % 7;

    return (date){.day = of_year - (153 * month + 2) / 5 + 1,
                  .month = month < 10 ? month + 3 : month - 9,
                  .weekday = (unsigned)(weekday < 0 ? weekday + 7 : weekday)};
}

/* Either of the two days is enough when both are restricted. */
static bool is_day(const spawn_cron *c, int64_t days)
{
    date d = date_of(days);
    bool day = c->days >> d.day & 1, weekday = c->weekdays >> d.weekday & 1;

    if (!(c->months >> d.month & 1))
        return false;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* The first minute of a day from this one on; DAY_MINUTES: there is none. */
static unsigned minute_from(const spawn_cron *c, unsigned minute)
{
    while (minute < DAY_MINUTES) {
        if (!(c->hours >> minute / 60 & 1))
            minute = (minute / 60 + 1) * 60;
        else if (!(c->minutes >> minute % 60 & 1))
            minute++;
        else
            break;
    }
    return minute;
}

int64_t spawn_cron_after(const spawn_cron *c, int64_t minute)
{
    int64_t from = minute + 1, days, last;
    unsigned of_day;

    days = from / DAY_MINUTES - (from % DAY_MINUTES < 0);
    of_day = (unsigned)(from - days * DAY_MINUTES);
    for (last = days + LOOK_DAYS; days <= last; days++, of_day = 0) {
        unsigned found = is_day(c, days) ? minute_from(c, of_day) : DAY_MINUTES;

        if (found < DAY_MINUTES)
            return days * DAY_MINUTES + found;
    }
    return -1;
}

/* ---- zones ---- */

/* Seconds that the clocks are ahead of UTC. */
static int64_t offset_at(int64_t when)
{
    time_t t = (time_t)when;
    struct tm tm;

    return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

static int64_t minute_at(int64_t when, int64_t offset)
{
    int64_t local = when + offset;

    return local / 60 - (local % 60 < 0);
}

/* The first second with another offset than that of from, which to has not. */
static int64_t change_between(int64_t from, int64_t to)
{
    int64_t offset = offset_at(from);

    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;

        if (offset_at(middle) == offset)
            from = middle;
        else
            to = middle;
    }
    return to;
}

/* The first moment when clocks show this minute; when none do, since it is
 * skipped, the one when they go on behind it. */
static int64_t moment_of(int64_t minute)
{
    int64_t local = minute * 60;
    int64_t before = offset_at(local - DAY), after = offset_at(local + DAY);
    int64_t first = local - before, second = local - after;

    if (before == after || offset_at(first) == before)
        return first;
    if (offset_at(second) == after)
        return second;
    return change_between(local - DAY, local + DAY);
}

/* Each minute comes once. */
static int64_t next_fixed(const spawn_cron *c, int64_t after)
{
    int64_t minute = minute_at(after, offset_at(after));

    while ((minute = spawn_cron_after(c, minute)) >= 0) {
        int64_t moment = moment_of(minute);

        if (moment > after)
            return moment;
    }
    return -1;
}

/* The first change of the clocks, or to. */
static int64_t first_change(int64_t from, int64_t to)
{
    int64_t offset = offset_at(from);

    while (from < to) {
        int64_t end = from + LOOK_STEP < to ? from + LOOK_STEP : to;

        if (offset_at(end) != offset)
            return change_between(from, end);
        from = end;
    }
    return to;
}

/* The time on the clocks counts, also when they show it again. */
static int64_t next_wild(const spawn_cron *c, int64_t from)
{
    for (;;) {
        int64_t offset = offset_at(from);
        int64_t minute = spawn_cron_after(c, minute_at(from, offset));
        int64_t moment, change;

        if (minute < 0)
            return -1;
        moment = minute * 60 - offset;
        change = first_change(from, moment);
        if (offset_at(change) == offset)
            return moment;
        minute = minute_at(change, offset_at(change));
        if (spawn_cron_after(c, minute - 1) == minute)
            return change;
        from = change;
    }
}

int64_t spawn_cron_next(const spawn_cron *c, const char *zone, int64_t after)
{
    int64_t next;

    spawn_zone_enter(zone);
    next = c->wild ? next_wild(c, after) : next_fixed(c, after);
    spawn_zone_leave();
    return next;
}
