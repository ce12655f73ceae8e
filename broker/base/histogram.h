/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file histogram.h
 * @brief Histograms of durations, those of the last hour alone, and what
 * happened in each of the last 60 minutes. All are plain numbers of a fixed
 * size, which may lie in memory that another broker had before.
 *
 * Runs in the broker. To add something allocates nothing and asks no clock.
 */
#ifndef SPAWN_BROKER_BASE_HISTOGRAM_H
#define SPAWN_BROKER_BASE_HISTOGRAM_H

#include <stdint.h>

#define SPAWN_BUCKETS   20
#define SPAWN_MINUTES   60
#define SPAWN_MINUTE_MS 60000

/** A histogram of the last hour forgets ten minutes at a time. */
#define SPAWN_HOUR_PARTS   6
#define SPAWN_HOUR_MINUTES 10 /* of a part */

/** Which bounds a histogram has, in microseconds, the smallest first. */
typedef struct {
    unsigned count; /* at most SPAWN_BUCKETS */
    uint64_t us[SPAWN_BUCKETS];
} spawn_bounds;

extern const spawn_bounds spawn_job_bounds;    /* 1 ms to 1 hour */
extern const spawn_bounds spawn_commit_bounds; /* 0.1 ms to 5 s */

/** How many lasted as long as a bound or less, and longer than the one before
 * it; the last: longer than all bounds. */
typedef struct {
    uint64_t sum_us;
    uint64_t counts[SPAWN_BUCKETS + 1];
} spawn_histogram;

/** A negative time is one of 0: no clock goes back, but two may differ. */
void spawn_histogram_add(spawn_histogram *h, const spawn_bounds *bounds,
                         int64_t us);

/** Numbers of a histogram as they are told. */
#define SPAWN_HISTOGRAM_TOLD (2 + 2 * SPAWN_BUCKETS)

/**
 * The sum in us, how many are over all bounds, and for each bound the bound in
 * us and how many are in its bucket alone.
 * @return how many numbers that are.
 */
unsigned spawn_histogram_tell(const spawn_histogram *h,
                              const spawn_bounds *bounds,
                              uint64_t ret[SPAWN_HISTOGRAM_TOLD]);

/** A ring of counts; one of zeros is one in which nothing happened. */
typedef struct {
    struct {
        uint32_t part; /* which one it is of, counted from 1 */
        uint32_t counts[SPAWN_BUCKETS + 1];
    } of[SPAWN_HOUR_PARTS];
} spawn_hour;

/** A duration that was known in this minute of a clock that never goes back. */
void spawn_hour_add(spawn_hour *r, const spawn_bounds *bounds, int64_t us,
                    int64_t minute);

/** What was added in the last 50 to 60 minutes; without the sum, which is 0. */
void spawn_hour_sum(const spawn_hour *r, int64_t minute, spawn_histogram *ret);

/** One minute of a ring. A ring of zeros is one in which nothing happened. */
typedef struct {
    uint32_t minute; /* which one it is of, counted from 1 */
    uint32_t ended;
    uint32_t failed; /* of these */
} spawn_minute;

typedef struct {
    spawn_minute of[SPAWN_MINUTES];
} spawn_minutes;

/** An end, in this minute of a clock that never goes back. */
void spawn_minutes_add(spawn_minutes *m, int64_t minute, int failed);

/** Pairs of ended and failed, the oldest minute first, the present one last. */
void spawn_minutes_tell(const spawn_minutes *m, int64_t minute,
                        uint64_t ret[2 * SPAWN_MINUTES]);

#endif
