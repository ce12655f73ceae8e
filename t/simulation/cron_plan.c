/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The times that recurring jobs are given. Must take nothing from
 * common/spawn_cron.h, which is what is tested.
 */
#include "t/simulation/cron_plan.h"

#include "t/simulation/world.h"

#define A_DAY 1440 /* minutes */

/* The first are meant by '*', the others have a time of their own. */
static const cron_plan plans[] = {
    {"* * * * *", 1, 0, 1, 0},         {"*/2 * * * *", 2, 0, 1, 0},
    {"1-59/3 * * * *", 3, 1, 1, 0},    {"*/10 * * * *", 10, 0, 1, 0},
    {"7,37 * * * *", 30, 7, 1, 0},     {"0-59 0-23 * * *", 1, 0, 1, 0},
    {"0-59/5 0-23 * * *", 5, 0, 1, 0}, {"4,24,44 0-23/2 * * *", 20, 4, 2, 0},
};

#define PLANS     ((unsigned)(sizeof(plans) / sizeof(plans[0])))
#define FEW_FIRST 3 /* these and the ones behind have few runs */

const cron_plan *cron_plan_choose(bool few)
{
    unsigned first = few ? FEW_FIRST : 0;

    return &plans[first + random_below(PLANS - first)];
}

bool cron_plan_means(const cron_plan *p, int64_t s)
{
    unsigned minute = (unsigned)(s / 60 % 60);
    unsigned hour = (unsigned)(s / 3600 % 24);

    return s % 60 == 0 && minute % p->every == p->at % p->every
           && minute >= p->at && hour % p->hour_every == p->hour;
}

int64_t cron_plan_next(const cron_plan *p, int64_t s)
{
    int i;

    s = s / 60 * 60 + 60;
    for (i = 0; i < 2 * A_DAY && !cron_plan_means(p, s); i++)
        s += 60;
    return s;
}

int64_t cron_plan_count(const cron_plan *p, int64_t from, int64_t to)
{
    int64_t count = 0;

    while ((from = cron_plan_next(p, from)) <= to)
        count++;
    return count;
}
