/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file changes.h
 * @brief Which jobs have to be stored, and when: at the end of this turn, or a
 * moment later, with others.
 *
 * Two kinds of changes are stored later. The first is what the spawner keeps
 * for the next broker: that a job runs, that it has ended. Most jobs have ended
 * before it is stored that they run, and then it need not be.
 *
 * The second is a call of a worker whose caller waits for the end: such a call
 * was never `accepted`, its caller has the result or nothing, and submits it
 * again when the broker dies. So it may run unstored, and is stored at most 20
 * ms later, in whatever state it is then. Until then a change of it is only
 * told to the callers that wait for it.
 */
#ifndef SPAWN_BROKER_JOB_CHANGES_H
#define SPAWN_BROKER_JOB_CHANGES_H

#include "broker/job/job.h"

/** The job has changed: its state is stored at the end of this turn; when it is
 * unstored, the callers that wait for it are told. */
void spawn_job_changed(spawn_job *job);

/** The same a moment later, when nobody waits for it. */
void spawn_job_changed_soon(spawn_job *job);

/** This new job may run before it is stored. */
void spawn_job_may_run_unstored(spawn_job *job);

/** Not in the store, and not in this turn either. */
static inline bool spawn_job_unstored(const spawn_job *job)
{
    return !job->in_store && job->due == SPAWN_DUE_SOON;
}

/** The store did not take it, and a slot of the inbox keeps it until then. */
static inline bool spawn_job_kept(const spawn_job *job)
{
    return !job->in_store && job->slot && job->due == SPAWN_DUE_NOT;
}

/** Store it at the end of this turn, like any other. */
void spawn_job_store_now(spawn_job *job);
/** The same for all jobs that are due soon. */
void spawn_changes_store_now(void);
/** The same when there are many of them. weight: bytes of results that were
 * added to them. */
void spawn_changes_store_many(size_t weight);

/** It has changed: callers that wait for it are told when this turn ends. */
void spawn_job_tell_waiters(spawn_job *job);
/** One of the jobs whose waiters are to be told, taken out of the list; NULL:
 * no more. */
spawn_job *spawn_changes_to_tell(void);

/* ---- for the commit ---- */

/** The jobs to store in this turn, linked by due_next. */
spawn_job *spawn_changes_due(void);
/** The first count of them (or all), taken out of the list; they stay due until
 * spawn_job_settled. */
spawn_job *spawn_changes_take(unsigned count);
/** It was stored, or not: it is due no more. */
void spawn_job_settled(spawn_job *job);
/** Its commit failed, and it may run unstored: another try after a while. */
void spawn_job_store_again(spawn_job *job);

#endif
