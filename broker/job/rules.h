/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rules.h
 * @brief The rules that a job brings for its start, beyond its queue's. Most
 * jobs bring none.
 */
#ifndef SPAWN_BROKER_JOB_RULES_H
#define SPAWN_BROKER_JOB_RULES_H

#include "broker/base/moments.h"
#include "broker/job/job.h"

/** moment.what */
enum {
    SPAWN_RULE_DUE,
    SPAWN_RULE_EXPIRES,
    SPAWN_RULE_KEY /* of no job: unique.h */
};

/** job->rules; in memory of its own. due and expires are waited for while the
 * job is queued: queue.c. */
struct spawn_rules {
    spawn_job *job;
    spawn_moment due;     /* before it, it does not start */
    spawn_moment expires; /* after it, neither */
};

/** The rules of a job, made when it has none yet. */
spawn_rules *spawn_rules_get(spawn_job *job);

/** The job that a moment is of. */
spawn_job *spawn_rules_job(spawn_moment *m);

/**
 * Take the rules of an order that was checked into its job.
 * @param since ms since 1970: since then delay and expires count.
 */
void spawn_rules_take(spawn_job *job, const spawn_message *m, int64_t since);

/** Would a job of this order have to wait for its time now? since: as above */
bool spawn_rules_delay(const spawn_message *m, int64_t since);

/** Does it wait for its time? It is queued, but in no lane then. */
static inline bool spawn_job_delayed(const spawn_job *job)
{
    return job->rules && spawn_moment_waits(&job->rules->due);
}

/** Has it a time before which it must not start, come or not? */
static inline bool spawn_job_has_time(const spawn_job *job)
{
    return job->rules && spawn_moment_is_set(&job->rules->due);
}

/** Was it to start by now? */
bool spawn_job_expired(const spawn_job *job);

/** The state that is told: SPAWN_STATE_DELAYED is no state of its own. */
static inline unsigned spawn_job_told_state(const spawn_job *job)
{
    return spawn_job_delayed(job) ? SPAWN_STATE_DELAYED : job->state;
}

/** Called before a job is freed. */
void spawn_rules_drop(spawn_job *job);

#endif
