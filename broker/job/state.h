/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file state.h
 * @brief The life of a job as a table: what happens to it, in which state, and
 * the state that follows.
 */
#ifndef SPAWN_BROKER_JOB_STATE_H
#define SPAWN_BROKER_JOB_STATE_H

#include "broker/job/job.h"

/** The events of a job's life. */
typedef enum {
    SPAWN_JOB_SUBMITTED,      /* it waits, behind all others */
    SPAWN_JOB_ORDERED,        /* it is chosen to start in this turn */
    SPAWN_JOB_BEGAN,          /* its process runs, or its worker has the call */
    SPAWN_JOB_FOUND_STARTING, /* by a broker that comes anew */
    SPAWN_JOB_FOUND_RUNNING, /* the same; or found alive when its parent died */
    SPAWN_JOB_CAME_BACK, /* it waits once more, where it had waited; also one
                            that was cancelled there, when that cannot be
                            stored */
    SPAWN_JOB_ENDED,
    SPAWN_JOB_RETRIED, /* it has ended, and waits for another attempt */
    SPAWN_JOB_UNDONE,  /* its first commit failed: it never was */
    SPAWN_JOB_EVENTS
} spawn_job_event;

/** The table's entry: a spawn_state, or -1: this cannot happen. */
int spawn_job_next_state(spawn_job_event event, unsigned state);

/**
 * It happens. Nothing else changes job->state: the counts of its queue and its
 * place among those that wait follow from it. An event that cannot happen is a
 * fault of ours: it is logged, and the broker ends. Nothing is lost by that,
 * and the next broker begins with what the store and the spawner say.
 */
void spawn_job_on(spawn_job *job, spawn_job_event event);

#endif
