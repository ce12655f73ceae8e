/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms of durations, and the last 60 minutes. Runs in the broker. Must
 * write nothing but into the struct that it gets.
 */
#include "broker/base/histogram.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

const spawn_bounds spawn_job_bounds = {
    20, {1 * MS,   2500,     5 * MS,  10 * MS, 25 * MS,  50 * MS, 100 * MS,
         250 * MS, 500 * MS, 1 * S,   2500000, 5 * S,    10 * S,  30 * S,
         60 * S,   120 * S,  300 * S, 600 * S, 1800 * S, 3600 * S}};

const spawn_bounds spawn_commit_bounds = {12,
                                          {100, 250, 1 * MS, 2500, 5 * MS,
                                           10 * MS, 25 * MS, 50 * MS, 100 * MS,
                                           250 * MS, 1 * S, 5 * S}};

void spawn_histogram_add(spawn_histogram *h, const spawn_bounds *bounds,
                         int64_t us)
{
    uint64_t lasted = us > 0 ? (uint64_t)us : 0;
    unsigned i = 0;

    while (i < bounds->count && lasted > bounds->us[i])
        i++;
    h->counts[i < bounds->count ? i : SPAWN_BUCKETS]++;
    h->sum_us += lasted;
}

unsigned spawn_histogram_tell(const spawn_histogram *h,
                              const spawn_bounds *bounds,
                              uint64_t ret[SPAWN_HISTOGRAM_TOLD])
{
    unsigned i, n = 0;

    ret[n++] = h->sum_us;
    ret[n++] = h->counts[SPAWN_BUCKETS];
    for (i = 0; i < bounds->count; i++) {
        ret[n++] = bounds->us[i];
        ret[n++] = h->counts[i];
    }
    return n;
}

void spawn_minutes_add(spawn_minutes *m, int64_t minute, int failed)
{
    uint32_t now = (uint32_t)minute + 1;
    spawn_minute *at = &m->of[now % SPAWN_MINUTES];

    if (at->minute != now)
        *at = (spawn_minute){.minute = now};
    at->ended++;
    at->failed += failed != 0;
}

void spawn_minutes_tell(const spawn_minutes *m, int64_t minute,
                        uint64_t ret[2 * SPAWN_MINUTES])
{
    uint32_t now = (uint32_t)minute + 1;
    unsigned i;

    for (i = 0; i < SPAWN_MINUTES; i++) {
        uint32_t of = now - (SPAWN_MINUTES - 1 - i);
        const spawn_minute *at = &m->of[of % SPAWN_MINUTES];
        int is = at->minute == of;

        ret[2 * i] = is ? at->ended : 0;
        ret[2 * i + 1] = is ? at->failed : 0;
    }
}
