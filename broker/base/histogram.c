/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms of durations, of all and of the last hour, and the last 60
 * minutes. Runs in the broker. Must write nothing but into the struct that it
 * gets.
 */
#include "broker/base/histogram.h"

#include <string.h>

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

static unsigned bucket_of(const spawn_bounds *bounds, uint64_t us)
{
    unsigned i = 0;

    while (i < bounds->count && us > bounds->us[i])
        i++;
    return i < bounds->count ? i : SPAWN_BUCKETS;
}

void spawn_histogram_add(spawn_histogram *h, const spawn_bounds *bounds,
                         int64_t us)
{
    uint64_t lasted = us > 0 ? (uint64_t)us : 0;

    h->counts[bucket_of(bounds, lasted)]++;
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

static uint32_t part_of(int64_t minute)
{
    return (uint32_t)(minute / SPAWN_HOUR_MINUTES) + 1;
}

void spawn_hour_add(spawn_hour *r, const spawn_bounds *bounds, int64_t us,
                    int64_t minute)
{
    uint32_t part = part_of(minute), i = part % SPAWN_HOUR_PARTS;

    if (r->of[i].part != part) {
        memset(&r->of[i], 0, sizeof(r->of[i]));
        r->of[i].part = part;
    }
    r->of[i].counts[bucket_of(bounds, us > 0 ? (uint64_t)us : 0)]++;
}

void spawn_hour_sum(const spawn_hour *r, int64_t minute, spawn_histogram *ret)
{
    uint32_t now = part_of(minute);
    unsigned i, j;

    memset(ret, 0, sizeof(*ret));
    for (i = 0; i < SPAWN_HOUR_PARTS; i++) {
        /* one from a time to come is of a boot before */
        if (r->of[i].part > now || now - r->of[i].part >= SPAWN_HOUR_PARTS)
            continue;
        for (j = 0; j <= SPAWN_BUCKETS; j++)
            ret->counts[j] += r->of[i].counts[j];
    }
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
