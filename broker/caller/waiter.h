/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file waiter.h
 * @brief Callers that wait for a job to start or to end.
 */
#ifndef SPAWN_BROKER_CALLER_WAITER_H
#define SPAWN_BROKER_CALLER_WAITER_H

#include "common/spawn_field.h"
#include "broker/job/job.h"
#include "broker/caller/ask.h"
#include "broker/caller/connection.h"

#define SPAWN_WAIT_MAX_MS SPAWN_DURATION_MAX_MS

/** Events that a caller can wait for beside SPAWN_REPLY_: a function has
 * returned, or its job has ended. */
#define SPAWN_WAIT_RETURNED 16

/** Is what a caller waits for in the store, which answers then? Not while the
 * job's last change is not stored: its commit may fail. */
bool spawn_wait_is_over(const spawn_job *job, unsigned want);

/** Answer the request seq of a peer with JOB when the job has got that far, or
 * with REFUSED (timed out) when its time is over before. */
void spawn_waiter_add(spawn_peer *peer, uint32_t seq, spawn_job *job,
                      const spawn_wait *wait);

/** Does a peer wait for as many as it may? That is memory of ours which a
 * caller could fill. True: why says so. */
bool spawn_waiters_too_many(const spawn_peer *peer, spawn_failure *why);
/** The same. True: it was refused. */
bool spawn_waiters_enough(spawn_peer *peer, uint32_t seq, const spawn_id *id);

/** Nobody knows the job now, or it has ended: the question that is to be
 * answered from the store (ask.h) waits all the same when the job is there by
 * then, and has not got that far.
 */
void spawn_waiter_ask(spawn_ask *ask, const spawn_wait *wait);

/** Answer those who waited for its state: the job was committed, or is
 * unstored.
 */
void spawn_waiters_tell(spawn_job *job);

/** The job was not stored: refuse all. */
void spawn_waiters_refuse(spawn_job *job, const spawn_failure *why);

/** The same when the ledger has forgotten it: reply.h. */
void spawn_waiters_refuse_later(spawn_job *job, const spawn_failure *why);

/** The peer has gone; its jobs go on. */
void spawn_waiters_leave(spawn_peer *peer);

#endif
