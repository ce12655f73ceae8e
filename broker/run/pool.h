/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pool.h
 * @brief The workers of a queue: how many there are, which call each of them
 * gets, what came of it.
 *
 * A call goes from its caller's packet to an idle worker and its result back to
 * the caller within two turns of the loop, and the store is not asked but for
 * whether the id is known: what protects such a call from the death of a broker
 * is the worker's ticket and its board. It is stored some milliseconds later,
 * in one transaction with others (later.h).
 */
#ifndef SPAWN_BROKER_RUN_POOL_H
#define SPAWN_BROKER_RUN_POOL_H

#include "broker/process/perl.h"
#include "broker/process/worker.h"

/** What SpawnWorkers and its like say. max 0: the queue has no workers. */
typedef struct {
    unsigned min, max;
    uint64_t calls;  /* then a worker is replaced; 0: never for that */
    uint64_t memory; /* bytes resident; 0: no limit */
    int64_t idle_ms; /* then those over min leave */
} spawn_pool_rules;

struct spawn_pool {
    spawn_queue *queue;
    unsigned min, max;
    uint64_t calls;
    uint64_t memory;
    int64_t idle_ms;
    unsigned alive; /* all but those that leave */
    unsigned idle;
    unsigned coming;
    unsigned failures; /* in a row */
    char *failure;     /* why there is none, while that is so; else NULL */
    spawn_timer retry;
    spawn_timer idle_timer;
};

/** Set the rules of a queue's pool, which is made when there is none. */
void spawn_pool_rule(spawn_queue *q, const spawn_pool_rules *rules);
/** The pool of that queue; both are made when they are not there. */
spawn_pool *spawn_pool_of(const char *queue);
/** Called when a queue is freed; false: it still has workers. */
bool spawn_pool_free(spawn_pool *pool);

/** How its workers are called in the log, into who[SPAWN_WHO]. */
char *spawn_pool_who(const spawn_worker *w, char *who);

/* ---- scheduling ---- */

/** Is there a pool, and can a job with this order be served by it? A job that
 * wants surroundings of its own (cwd, env, streams, handles, limits, another
 * template) gets a process of its own. */
bool spawn_pool_serves(const spawn_queue *q, const spawn_message *m);
/** One more call finds a worker. */
bool spawn_pool_takes(const spawn_pool *pool);
/** Why its calls fail now instead of waiting, or NULL. */
const char *spawn_pool_failure(const spawn_pool *pool);
/** Fork what is missing. waiting: calls that have no worker. */
void spawn_pool_consider(spawn_pool *pool, unsigned waiting);

/** Keep a worker for this job, which leaves its waiting list. */
void spawn_pool_reserve(spawn_job *job);
/** Send the call to its worker: the job runs. 0, or -1 with why filled. A
 * worker that has just died: the job waits again, 0. */
int spawn_pool_call(spawn_job *job, const spawn_body *body, spawn_failure *why);
/** The job is done with its worker. Nothing happens when it has none. */
void spawn_pool_release(spawn_job *job);
/** The same when it could not be stored that it starts: others need not be
 * looked at, they would not be stored either. */
void spawn_pool_unreserve(spawn_job *job);

/* ---- what workers say, and their ends ---- */

void spawn_pool_ready(spawn_worker *w, const spawn_message *m);
/** It takes calls, if it is ready and its process is known. */
void spawn_pool_begin(spawn_worker *w);
void spawn_pool_returned(spawn_worker *w, const spawn_id *id,
                         const spawn_message *m);
/** Its link has ended: EXITED follows, unless nobody tells of its exit. */
void spawn_pool_silent(spawn_worker *w);
/** Its board has a result, and nobody may have been told. */
void spawn_pool_found_returned(spawn_worker *w);
/** This job runs in it, as a ticket says. */
void spawn_pool_attach(spawn_worker *w, spawn_job *job);
/** It was found by a broker that is new: it counts. */
void spawn_pool_adopted(spawn_worker *w);
/** It leaves, after its call. */
void spawn_pool_dismiss(spawn_worker *w);
/** It has ended. m: EXITED; NULL: never forked, or nobody can tell how. */
void spawn_pool_gone(spawn_worker *w, const spawn_message *m);

/* ---- the broker's life: pool_life.c ---- */

/** The worker that was given this job, by its ticket; or NULL. */
spawn_worker *spawn_pool_ticket(const spawn_id *id);
/** It waits, and the workers of its queue may serve it. During recovery. */
void spawn_pool_join(spawn_job *job);
/** The job runs in it. During recovery. */
void spawn_pool_take_up(spawn_worker *w, spawn_job *job);
/** The open jobs of the store are known: what else the tickets tell. */
void spawn_pools_recover(void);
/** No job starts any more: idle workers go. */
void spawn_pools_rest(void);
/** All are told to go; how many of the spawner's own are still there. */
unsigned spawn_pools_leave(void);

#endif
