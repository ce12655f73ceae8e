/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unique.h
 * @brief Unique keys of a queue's jobs: which job has one, and which jobs wait
 * for it.
 *
 * A key is had by one job at a time, from its submit until it starts, or has
 * ended, or a time is over, as its `unique_for` says. Jobs that are to come
 * after it stand in a list, in the order of their submits, and are blocked
 * (queue.h) until they have the key. A key is in memory only while somebody has
 * it, or waits for it; the store keeps what a broker that comes anew makes all
 * of this from.
 */
#ifndef SPAWN_BROKER_JOB_UNIQUE_H
#define SPAWN_BROKER_JOB_UNIQUE_H

#include "broker/base/moments.h"
#include "broker/job/job.h"

typedef struct spawn_key spawn_key;

/** A job's claim to its key. */
struct spawn_claim {
    spawn_job *job;
    spawn_key *key;
    spawn_claim *prev, *next; /* of those that wait for it */
    bool until_start; /* it has the key until it starts, and no longer */
    bool begun;       /* a broker found it so, which knew of its attempts */
    bool held;        /* it had ended, and had the key still: it is revived */
    bool replaced;    /* it ends when the store has this one, */
    bool taken;       /* which it has: */
    spawn_id by;
    bool replaces_late; /* only the ledger had it: it has still to replace */
    uint64_t number;    /* of the claims of this broker, as they came */
    spawn_moment until; /* set: it has the key until then at least */
};

/** The key of that name, or NULL: nobody has it. */
spawn_key *spawn_key_find(const char *queue, const char *name);
const char *spawn_key_name(const spawn_key *key);

/** The job that has the key, or the one that is to replace it. NULL: it has
 * ended, and its time is not over; ret_id says which. */
spawn_job *spawn_key_job(const spawn_key *key, spawn_id *ret_id);

/** A job that is new to this broker, and in its queue, wants a key: it has it
 * at once, or waits for it. Before it is queued.
 * @param unique_for as on the wire; of the submit that comes now. */
void spawn_claim_make(spawn_job *job, const char *name, uint64_t unique_for);
/** The same of a job that the store has. until.wall as SPAWN_UNIQUE_WAITING,
 * SPAWN_UNIQUE_ENDED or a moment. begun: an attempt at it has ended, and it
 * has the key; else it may have waited for it. */
void spawn_claim_found(spawn_job *job, const char *name,
                       const spawn_moment *until, bool begun);
/** The moment that the store keeps of it. */
void spawn_claim_until(const spawn_claim *claim, spawn_moment *ret);

/** Those of the key that have not started are to end when the store has this
 * job, which waits for the key: until then they are blocked. The store marks
 * them in the transaction in which it takes this job, so that a broker which
 * comes anew ends them. */
void spawn_claim_replaces(spawn_job *job);
/** The same of a job that was found, and that the store never had: those that
 * were submitted before it, when all are known. */
void spawn_claim_replaces_late(spawn_job *job);
/** The text for a job that is replaced, with the id of this one. */
#define SPAWN_REPLACED_BY "job %s, which has the same unique key, replaces it"

/** One of those that this job replaces; NULL: there are no more. after: the
 * last one that was given. */
spawn_claim *spawn_claim_replaced(const spawn_job *by,
                                  const spawn_claim *after);

/** It runs. */
void spawn_claim_began(spawn_job *job);
/** It is let go: somebody else can have the key, or nobody until its time is
 * over. One that never was replaces nobody. */
void spawn_claim_drop(spawn_job *job);

/** Does the key stay with this job, which has ended? */
bool spawn_claim_stays(const spawn_job *job);

/** An ended job has a key until then, as the store says. */
void spawn_key_hold(const char *queue, const char *name, const spawn_id *id,
                    const spawn_moment *until);
/** Its time is over. */
void spawn_key_over(spawn_moment *until);

/** While a broker begins nobody has a key: all are given when it knows all of
 * the jobs. */
void spawn_keys_begin(void);
void spawn_keys_settle(void);

/** How many there are; and of them, which ended jobs have. */
unsigned spawn_key_count(void);
unsigned spawn_keys_held(void);

#endif
