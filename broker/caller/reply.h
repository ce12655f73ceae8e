/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file reply.h
 * @brief Answers that are owed until the turn's commit.
 */
#ifndef SPAWN_BROKER_CALLER_REPLY_H
#define SPAWN_BROKER_CALLER_REPLY_H

#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/caller/connection.h"

/** Answer when the job is stored: ACCEPTED with the job's state then, or DONE;
 * REFUSED when the store fails. */
void spawn_reply_accepted(spawn_peer *peer, uint32_t seq, spawn_job *job);
void spawn_reply_done(spawn_peer *peer, uint32_t seq, spawn_job *job);
/** The same of a submit with this id, in whose place the job is kept. */
void spawn_reply_kept(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                      spawn_job *job);

/**
 * The commit was tried: send the answers that are owed, but for jobs that are
 * marked as the rest, which the next turn stores, and for durable ones that are
 * not on the disk, or have to be forgotten there. Jobs that were not stored are
 * still due.
 */
void spawn_replies_send(spawn_batch *batch);

/** REFUSED to those that wait for this job, which is about to go. */
void spawn_replies_refuse(const spawn_job *job, const spawn_failure *why);

/** Is this job, which was not stored, in the ledger alone, and nothing that was
 * promised? */
bool spawn_reply_waits_for_ledger(const spawn_job *job);

/** The same when the ledger has forgotten the job: until then a broker that
 * comes anew may find it there, and run it. */
void spawn_replies_refuse_later(const spawn_job *job, const spawn_failure *why);
/** One of these, which waits for a job in another way. */
void spawn_reply_refuse_later(spawn_peer *peer, uint32_t seq,
                              const spawn_job *job, const spawn_failure *why);
/** The ledger has forgotten it. */
void spawn_replies_forgotten(spawn_batch *batch, const spawn_id *job);

/** At the end of a turn: those that wait for the next commit are not owed to
 * callers that have gone since, whose connections are freed now. */
void spawn_replies_tidy(spawn_batch *batch);

#endif
