/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pool.h
 * @brief The workers of a queue: how many there are, which call each of them
 * gets, and what came of it.
 *
 * A call goes from its caller's packet to an idle worker and its result back to
 * the caller within two turns of the loop, and the store is only asked whether
 * the id is known: the worker's ticket and board protect such a call from the
 * death of a broker. It is stored some milliseconds later, in one transaction
 * with others (changes.h).
 */
#ifndef SPAWN_BROKER_RUN_POOL_H
#define SPAWN_BROKER_RUN_POOL_H

#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/process/ticket.h"

/** Set the rules of a queue's pool, which is made when there is none. */
void spawn_pool_rule(spawn_queue *q, const spawn_pool_rules *rules);

/** All rules are read, also what queues give to their jobs: workers that were
 * started by others leave, after their call. */
void spawn_pools_ruled(void);

/* ---- scheduling ---- */

/** Is there a pool, and can a job with this order be served by it? A job that
 * wants surroundings of its own (cwd, env, streams, handles, limits, another
 * template) gets a process of its own. */
bool spawn_pool_serves(const spawn_queue *q, const spawn_message *m);
/** Is a worker free for one more call? */
bool spawn_pool_takes(const spawn_pool *pool);
/** Why its calls fail now instead of waiting, or NULL. */
const char *spawn_pool_failure(const spawn_pool *pool);
/** Workers of another process of the template than takes orders now, or of
 * other rules, leave. Before one of them is given a call. */
void spawn_pool_dismiss_stale(const spawn_pool *pool);
/** Fork the workers that are missing. waiting: calls that have no worker. */
void spawn_pool_consider(spawn_pool *pool, unsigned waiting);

/** Keep a worker for this job, which leaves its waiting list. */
void spawn_pool_reserve(spawn_job *job);
/** The job is done with its worker. Does nothing when it has none. */
void spawn_pool_release(spawn_job *job);
/** The same when its start could not be stored: no other call is chosen, since
 * that could not be stored either. */
void spawn_pool_unreserve(spawn_job *job);

/* ---- workers ---- */

/** RUNNING of a worker, when the broker is new. Takes its descriptors. */
void spawn_pool_adopt(const spawn_id *id, const spawn_message *m,
                      spawn_packet *p);

/** This job runs in it, as a ticket says. */
void spawn_pool_attach(spawn_worker *w, spawn_job *job);
/** It leaves, after its call. */
void spawn_pool_dismiss(spawn_worker *w);
/** Its end was told: it counts no more. */
void spawn_pool_leaves(spawn_worker *w);
/** It has no call any more, or one whose end is known: it is idle, or leaves.
 */
void spawn_pool_nothing_to_do(spawn_worker *w);
/** One of its workers got ready: failures before it do not count. */
void spawn_pool_works(spawn_pool *pool);
/** One could not get ready, text says why: logged, and the next try comes after
 * a pause that grows. */
void spawn_pool_failed(spawn_pool *pool, const char *text);

/* ---- calls: pool_calls.c ---- */

/** Hear of workers. Once, at the broker's start. */
void spawn_pools_open(void);
/** Send the call to its worker: the job runs. 0, or -1 with why filled. When
 * the worker has just died the job waits again: 0. */
int spawn_pool_call(spawn_job *job, const spawn_body *body, spawn_failure *why);
/** Its board has a result, of which perhaps no caller was told. */
void spawn_pool_found_returned(spawn_worker *w);

/* ---- the broker's life: pool_recover.c ---- */

/** The worker that was given this job, by its ticket, for this attempt or a
 * later one; or NULL. */
spawn_worker *spawn_pool_ticket(const spawn_id *id, unsigned attempt);
/** It waits, and the workers of its queue may serve it. During recovery. */
void spawn_pool_join(spawn_job *job);
/** The job runs in it. During recovery. */
void spawn_pool_take_up(spawn_worker *w, spawn_job *job);
/** The open jobs of the store are known: take up the calls that only the
 * tickets know. 0, or -1: the store cannot be read. */
int spawn_pools_recover(spawn_batch *batch);
/** Later, when the ledger is read, too: does it run, or did it run last, a call
 * that was stored, and that nobody knows? */
bool spawn_pool_is_unknown(spawn_worker *w, spawn_ticket_call *ret);
/** Does a worker have such a call of this id? What it is, is known when the
 * ledger is read. */
bool spawn_pool_has_unknown(const spawn_id *id);
/** Make a job of that call. body, which the job takes: what is known of it;
 * template: NULL: its queue's; marked: what its ticket has to say of it. */
spawn_job *spawn_pool_take_in(spawn_batch *batch, spawn_worker *w,
                              const spawn_ticket_call *call, spawn_body *body,
                              const char *template, const spawn_body *marked);
/** No job starts any more: dismiss the idle workers. */
void spawn_pools_rest(void);
/** Tell all to go; returns how many of the spawner's own are still there. */
unsigned spawn_pools_leave(void);

#endif
