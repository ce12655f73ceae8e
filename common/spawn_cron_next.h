/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_cron_next.h
 * @brief A schedule, and the next moment that it means.
 *
 * Runs in the httpd parent and in the broker.
 */
#ifndef SPAWN_CRON_NEXT_H
#define SPAWN_CRON_NEXT_H

#include <stdbool.h>
#include <stdint.h>

/** A bit for each value that is meant; Sunday is weekday 0. */
typedef struct {
    uint64_t minutes;
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays;
    bool any_day, any_weekday; /* the field begins with '*' */
    bool wild;                 /* so does minute or hour */
} spawn_cron;

/** The first minute after this one that is meant, both counted from 1970 by the
 * clock on the wall; -1: there is none. */
int64_t spawn_cron_after(const spawn_cron *c, int64_t minute);

/**
 * The first moment after this one, in s of Unix time, by the clocks of a zone;
 * -1: there is none. An hour that the zone skips: what was meant in it comes
 * when it is over, once; one that it has twice: what was meant in it comes the
 * first time. A schedule with '*' for the minute or the hour goes by the clock
 * as it is in both.
 * @param zone a name that spawn_zone_check takes; "": the local one.
 */
int64_t spawn_cron_next(const spawn_cron *c, const char *zone, int64_t after);

#endif
