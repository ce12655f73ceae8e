/* SPDX-License-Identifier: Apache-2.0 */
/* The times that recurring jobs are given, and which moments they mean,
 * reckoned by itself: the broker has another way. All moments are in s of Unix
 * time. */
#ifndef SIMULATION_CRON_PLAN_H
#define SIMULATION_CRON_PLAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *text; /* as SpawnCron has it, in UTC */
    /* minutes at, at + every, ... of hours hour, hour + hour_every, ... */
    unsigned every, at, hour_every, hour;
} cron_plan;

/* few: one with few runs. */
const cron_plan *cron_plan_choose(bool few);
bool cron_plan_means(const cron_plan *p, int64_t s);
/* The first after this moment. */
int64_t cron_plan_next(const cron_plan *p, int64_t s);
/* How many there are after from, up to to. */
int64_t cron_plan_count(const cron_plan *p, int64_t from, int64_t to);

#endif
