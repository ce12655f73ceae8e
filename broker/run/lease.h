/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lease.h
 * @brief Workers that are lent to callers: what they have run is read from
 * their slates and recorded, and they are asked for when somebody else needs
 * them. docs/leases.md says how.
 */
#ifndef SPAWN_BROKER_RUN_LEASE_H
#define SPAWN_BROKER_RUN_LEASE_H

#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/process/worker.h"

/** Once, at the broker's start: calls are recorded in this batch. */
void spawn_leases_open(spawn_batch *batch);

/** May the worker that has just served this job be lent? */
bool spawn_lease_may(const spawn_job *job);
/**
 * Lend it. Its caller has been answered, since its ticket goes.
 * @param direct its end of the caller's socket, which is taken.
 */
void spawn_lease_begin(spawn_worker *w, pid_t caller_pid, uid_t caller_uid,
                       int direct);

/** Ask for it: a call that runs becomes a job like others. */
void spawn_lease_end(spawn_worker *w);
/** The same for so many of a pool. */
void spawn_leases_end_some(const spawn_pool *pool, unsigned count);

/** Before the store is open nobody knows whether a call of a slate is new, so
 * nothing is taken from one. Recovery takes each lent worker back. */
bool spawn_lease_may_end(void);

/** Record the calls that have ended. */
void spawn_lease_read(spawn_worker *w);
/** It is given back: record all. A call that was noted becomes a job.
 * @param last_run the call that it ran last, or NULL.
 * @return false: the store cannot tell now what is to be recorded, and it is
 * lent on. */
bool spawn_lease_over(spawn_worker *w, const spawn_id *last_run);
/** Its process has gone: the same, and that is remembered when all could be
 * recorded.
 * @return whether the call that is its job had ended before. */
bool spawn_lease_gone(spawn_worker *w);

/** Somebody asks for this id, or for all jobs (NULL): make jobs of the calls
 * that are meant, and end those that have ended. */
void spawn_leases_look(const spawn_id *id);
/** The spawner has gone, and this turn is the last: nobody else will be told of
 * calls that have ended. No further one begins. */
void spawn_leases_look_last(void);
/**
 * A caller was lent this worker, and does not know whether its call began: when
 * this returns, it is a job or will not begin.
 * @return false: nothing is known of this worker, or of its call.
 */
bool spawn_lease_lost(const spawn_id *worker);

#endif
