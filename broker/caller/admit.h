/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file admit.h
 * @brief A job that comes with wishes: another account, a unique key, other
 * jobs that it is to come after. Is it taken, and what is there already?
 */
#ifndef SPAWN_BROKER_CALLER_ADMIT_H
#define SPAWN_BROKER_CALLER_ADMIT_H

#include "common/spawn_proto.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/caller/connection.h"

/** Does it have such rules? Then it is stored before it is answered, and before
 * it runs: what follows from it for other jobs is in the same transaction. */
static inline bool spawn_admit_ordered(const spawn_message *m)
{
    return spawn_has(m, SPAWN_A_UNIQUE) || spawn_has(m, SPAWN_A_AFTER);
}

/** Does it want an account that jobs can have? 0, or -1 with why filled. */
int spawn_admit_account(const char *queue, const spawn_message *m,
                        spawn_failure *why);

/** A job that somebody submits may come after others that were posted a moment
 * ago: take them in. Before it is known whether the job itself is known. */
void spawn_admit_posts(const spawn_message *m);

/** A job that is there, and is kept in the place of another one. */
typedef struct {
    spawn_id id;
    spawn_job *job; /* NULL: it has ended */
} spawn_admit_other;

/**
 * @param peer whose it is: it comes after jobs that this one may see; NULL: it
 * is a post, or spooled.
 * @return 0: it is taken; 1: the other one is kept; -1 with why filled.
 */
int spawn_admit_check(spawn_batch *batch, const spawn_message *m,
                      const char *queue, const spawn_peer *peer,
                      spawn_admit_other *ret, spawn_failure *why);

/** Its priority, as its order says. */
void spawn_admit_priority(spawn_job *job, const spawn_message *m);

/** It is taken, and not queued yet. */
void spawn_admit(spawn_job *job, const spawn_message *m);

/** It is queued, and to be stored in this turn. */
void spawn_admitted(spawn_job *job, const spawn_message *m);
/** The same of a durable one, which the ledger has now. */
void spawn_admitted_late(spawn_job *job);

/** Of one that the ledger had, and the store has not. waits: it has not
 * started, nor had an attempt. Before it is queued. */
void spawn_admit_again(spawn_job *job, const spawn_message *m, bool waits);

#endif
