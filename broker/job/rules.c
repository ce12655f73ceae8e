/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a job brings. Runs in the broker, on checked orders. Waits for
 * nothing: queue.c says when a moment is waited for.
 */
#include "broker/job/rules.h"

#include <stdlib.h>

#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"

spawn_rules *spawn_rules_get(spawn_job *job)
{
    if (!job->rules) {
        job->rules = spawn_alloc(sizeof(*job->rules));
        job->rules->job = job;
        job->rules->due.what = SPAWN_RULE_DUE;
        job->rules->expires.what = SPAWN_RULE_EXPIRES;
    }
    return job->rules;
}

spawn_job *spawn_rules_job(spawn_moment *m)
{
    const spawn_rules *r = m->what == SPAWN_RULE_DUE
                               ? SPAWN_OWNER(m, spawn_rules, due)
                               : SPAWN_OWNER(m, spawn_rules, expires);

    return r->job;
}

/* How much of a duration was over when the order came. */
static int64_t gone(int64_t since)
{
    int64_t ms = spawn_wall_ms() - since;

    return ms > 0 ? ms : 0;
}

void spawn_rules_take(spawn_job *job, const spawn_message *m, int64_t since)
{
    uint64_t delay = spawn_u64_or(m, SPAWN_A_DELAY, 0);
    uint64_t at = spawn_u64_or(m, SPAWN_A_AT, 0);
    uint64_t expires = spawn_u64_or(m, SPAWN_A_EXPIRES, 0);

    if (delay)
        spawn_moment_in(&spawn_rules_get(job)->due,
                        (int64_t)delay - gone(since));
    else if (at)
        spawn_moment_at(&spawn_rules_get(job)->due, (int64_t)at);
    if (expires & SPAWN_EXPIRES_MOMENT)
        spawn_moment_at(&spawn_rules_get(job)->expires,
                        expires > SPAWN_EXPIRES_MOMENT
                            ? (int64_t)(expires & ~SPAWN_EXPIRES_MOMENT)
                            : 1); /* 0 would be none */
    else if (expires)
        spawn_moment_in(&spawn_rules_get(job)->expires,
                        (int64_t)expires - gone(since));
}

bool spawn_rules_delay(const spawn_message *m, int64_t since)
{
    uint64_t delay = spawn_u64_or(m, SPAWN_A_DELAY, 0);

    if (delay)
        return (int64_t)delay > gone(since);
    return (int64_t)spawn_u64_or(m, SPAWN_A_AT, 0) > spawn_wall_ms();
}

bool spawn_job_expired(const spawn_job *job)
{
    return job->rules && spawn_moment_is_set(&job->rules->expires)
           && spawn_moment_left(&job->rules->expires) <= 0;
}

void spawn_rules_drop(spawn_job *job)
{
    if (!job->rules)
        return;
    spawn_moment_forget(&job->rules->due);
    spawn_moment_forget(&job->rules->expires);
    free(job->rules);
    job->rules = NULL;
}
