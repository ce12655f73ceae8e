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
 * The second is a new job of which something else than the store tells the next
 * broker. It may run unstored, and is stored at most 20 ms later, in whatever
 * state it is then, so that a short job is stored once. Until then a change of
 * it is only told to the callers that wait for it. Such a job lies in a slot of
 * the inbox (caller/inbox.h): one that was accepted or posted, or one whose
 * caller waits for the end. Before its order is sent, the slot says so. The
 * next broker looks for such a job among what the spawner has. When it is not
 * there, and the spawner is the same, its order was never sent. When the
 * spawner is another one, the job is followed by its process, which the slot
 * has, or is lost.
 *
 * A job that waits in the store is noted before its order is sent
 * (store/launches.h), and stored later in the same way.
 *
 * A call of a worker whose caller waits for the end has a slot only from when
 * it is sent until its end is told. The spawner has the worker's ticket of it
 * (process/ticket.h). When there is no slot it is stored first.
 *
 * The slot is freed when the store has the job, and the spawner forgets an end
 * after that. So at any moment one of the two has the job, and a job that was
 * ordered is never taken for one that waits. A caller that waits for the end
 * was promised nothing: while such a job waits, its slot does not count as
 * full, and when the store does not take it, it is refused.
 */
#ifndef SPAWN_BROKER_JOB_CHANGES_H
#define SPAWN_BROKER_JOB_CHANGES_H

#include "common/spawn_error.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"

/** An answer that is owed until the commit. */
typedef struct {
    struct spawn_peer *peer;
    spawn_job *job;
    uint32_t seq;
    bool done; /* DONE, else ACCEPTED */
    bool kept; /* in the place of this one: */
    spawn_id of;
} spawn_owed;

/** A caller that is refused when the ledger has forgotten the job. */
typedef struct {
    struct spawn_peer *peer;
    uint32_t seq;
    spawn_id job;
    spawn_id told; /* the caller's */
    spawn_failure why;
} spawn_refusal;

/** A job of this turn that could not be launched. */
typedef struct {
    spawn_job *job;
    spawn_failure why;
} spawn_unlaunched;

/** Jobs that are stored when a moment is over. */
typedef struct {
    spawn_job *first, *last; /* linked both ways */
    unsigned count;
    size_t bytes; /* of their results and outputs */
    spawn_timer timer;
} spawn_later;

/**
 * The changes that go to one store in one transaction, and all that depends on
 * them. The broker has one (broker.h). Each job, and each connection of a
 * caller, points at its batch.
 */
struct spawn_batch {
    spawn_store *store; /* owned by broker.h's spawn_broker */

    /* jobs: changes.c */
    spawn_job *due, **due_last;   /* in this turn, one way linked */
    spawn_later soon;             /* a moment later */
    spawn_later again;            /* those that the store did not take */
    spawn_job *news, **news_last; /* to be launched, or their waiters told */

    /* caller/reply.c */
    spawn_owed *owed;
    size_t owed_used, owed_room;
    spawn_refusal *refusals;
    size_t refusals_used, refusals_room;

    /* turn.c */
    spawn_unlaunched *unlaunched;
    size_t unlaunched_used, unlaunched_room;
};

/** An empty batch, for jobs of this store. */
void spawn_batch_init(spawn_batch *batch, spawn_store *store);

/** The job has changed: its state is stored at the end of this turn; when it is
 * unstored, the callers that wait for it are told. */
void spawn_job_changed(spawn_job *job);

/** The same before all others of the turn. */
void spawn_job_store_first(spawn_job *job);

/** The same of one that was launched and waits again: its slot says so before
 * this turn ends. */
void spawn_job_came_back(spawn_job *job);

/** The same a moment later, when nobody waits for it, and it is stored as it is
 * then. */
void spawn_job_changed_soon(spawn_job *job);

/** This new job may run before it is stored. */
void spawn_job_may_run_unstored(spawn_job *job);

/** Not in the store, and not in this turn either. */
static inline bool spawn_job_unstored(const spawn_job *job)
{
    return !job->in_store && job->due == SPAWN_DUE_SOON;
}

/** The store did not take it, and a slot of the inbox keeps it until then. Not
 * the refusal of a post, which the next broker may take. */
static inline bool spawn_job_kept(const spawn_job *job)
{
    return !job->in_store && job->slot && job->due == SPAWN_DUE_NOT
           && job->state != SPAWN_STATE_DONE;
}

/** Store it at the end of this turn, like any other. */
void spawn_job_store_now(spawn_job *job);
/** The same for all jobs that are due soon. */
void spawn_batch_store_now(spawn_batch *batch);
/** The same for those that are not about to end: what was started in the last
 * 10 ms stays. */
void spawn_batch_store_most(spawn_batch *batch);
/** Are there any? */
static inline bool spawn_batch_waits(const spawn_batch *batch)
{
    return batch->soon.first || batch->again.first;
}
/** The same for those whose turn it is, when there are many of them. weight:
 * bytes of results and outputs that were added to them. */
void spawn_batch_store_many(spawn_batch *batch, size_t weight);

/** It has changed: callers that wait for it are told when this turn ends. */
void spawn_job_tell_waiters(spawn_job *job);
/** One of the jobs whose waiters are to be told, taken out of the list; NULL:
 * no more. */
spawn_job *spawn_batch_to_tell(spawn_batch *batch);

/* ---- for the commit ---- */

/** The jobs to store in this turn, linked by due_next. */
spawn_job *spawn_batch_due(const spawn_batch *batch);
/** Put those with a store_error behind the others. How many others there are.
 */
unsigned spawn_batch_part(spawn_batch *batch);
/** Take out those that are held back and may be. The same list. */
spawn_job *spawn_batch_take_held(spawn_batch *batch,
                                 bool (*may_be)(const spawn_job *job));
/** The first count of them (or all), taken out of the list; they stay due until
 * spawn_job_settled. */
spawn_job *spawn_batch_take(spawn_batch *batch, unsigned count);
/** It was stored, or not: it is due no more. */
void spawn_job_settled(spawn_job *job);
/** Its commit failed, and it may run unstored: another try after a while. */
void spawn_job_store_again(spawn_job *job);

#endif
