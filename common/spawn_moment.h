/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_moment.h
 * @brief A moment of the wall clock as people write it: seconds since 1970, or
 * ISO 8601 with its zone.
 *
 * Runs in every process. Must keep no state, read no clock and no time zone of
 * the system: the same text means the same moment everywhere.
 */
#ifndef SPAWN_MOMENT_H
#define SPAWN_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/** The end of the year 9999. So that milliseconds that were given as seconds
 * are refused, and not waited for. */
#define SPAWN_MOMENT_MAX_MS 253402300799999ull

#define SPAWN_MOMENT_WANTED                                                    \
    "seconds since 1970, or a date, time and zone such as "                    \
    "2030-01-31T17:30:00Z or 2030-01-31T18:30:00+01:00"

/** Does the text look like a date, and not like a number? */
bool spawn_looks_like_a_date(const char *text);

/**
 * @return 0 with the moment in ms since 1970; -EINVAL for text of another form,
 * -ERANGE for a moment before 1970 or after 9999; *ret_ms untouched then.
 */
int spawn_parse_moment(const char *text, uint64_t *ret_ms);

#endif
