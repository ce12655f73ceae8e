/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: first in, first out among the jobs that can start, at most
 * max_jobs of a queue at once. Runs in the broker, once a turn. Must start
 * nothing before GO.
 */
#include "broker/run/schedule.h"

#include "broker/base/loop.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/share.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/perl.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"
#include "broker/run/when.h"

#define FAILURES_A_TURN 64 /* of a lane */

/* Else they wait for the template of a new configuration. */
static bool code_is_there(const spawn_lane *lane)
{
    return !lane->template || spawn_template_tried(lane->template, lane->since);
}

static bool can_start(const spawn_queue *q, const spawn_lane *lane)
{
    if (lane->away)
        return spawn_shares_room();
    if (!code_is_there(lane) || (q->shared && spawn_queue_taken(q)))
        return false;
    if (lane->durable && spawn_durable_in_trouble(lane->head))
        return false;
    if (lane->pooled)
        return spawn_pool_takes(q->pool);
    return !lane->template || spawn_template_takes(lane->template);
}

/* A durable one that is ordered in the ledger, and that the store does not
 * have, is lost to the next broker: nobody would know whether it has started.
 */
static bool is_unknown(const spawn_job *job)
{
    return job->ledger && !job->in_store;
}

/* Jobs that the store did not take are passed over: they wait for their next
 * try, and hold up no other job until then. They are few, since slots of the
 * inbox keep them. */
static spawn_job *first_of(const spawn_lane *lane)
{
    spawn_job *job = lane->head;

    while (job && (spawn_job_kept(job) || is_unknown(job)))
        job = job->next;
    return job;
}

/* The job that has waited longest of those that can start. */
static spawn_job *next_of(const spawn_queue *q)
{
    const spawn_lane *lane;
    spawn_job *next = NULL;

    for (lane = q->lanes; lane; lane = lane->next) {
        spawn_job *job = first_of(lane);

        if (job && (!next || job->place < next->place) && can_start(q, lane))
            next = job;
    }
    return next;
}

/* It ends before it starts. One whose connection has closed was ended then, and
 * came back since the store did not take that. */
static bool ends_first(spawn_job *job)
{
    if (!job->unbound)
        return spawn_when_expires(job);
    spawn_end_say_unbound(job, spawn_end_job(job, SPAWN_OUTCOME_CANCELLED));
    return true;
}

static void fail(const spawn_lane *lane, spawn_job *job, const char *why)
{
    spawn_end_start_failed(job, SPAWN_STEP_TEMPLATE, 0, NULL);
    spawn_end_say(job->end,
                  lane->pooled && !spawn_template_failure(lane->template)
                      ? "no worker of template %s could get ready: %s"
                      : "template %s cannot be loaded: %s",
                  lane->template->name, why);
}

/* Why its jobs fail now, or NULL. That a template, or its workers, could not
 * get ready is no reason when it is about to be another one. */
static const char *failure_of(const spawn_queue *q, const spawn_lane *lane)
{
    if (!lane->template || lane->away || !code_is_there(lane))
        return NULL;
    return lane->pooled ? spawn_pool_failure(q->pool)
                        : spawn_template_failure(lane->template);
}

/* Nobody knows when their template can be loaded, so their callers are told
 * now: of each lane so many, and the others in the next turn. */
static void fail_hopeless(const spawn_queue *q)
{
    const spawn_lane *lane;

    for (lane = q->lanes; lane; lane = lane->next) {
        const char *why = failure_of(q, lane);
        unsigned left = FAILURES_A_TURN;
        spawn_job *job;

        while (why && (job = first_of(lane))) {
            if (left-- == 0) {
                spawn_loop_again();
                break;
            }
            if (!ends_first(job))
                fail(lane, job, why);
            else if (job->state == SPAWN_STATE_QUEUED)
                break;
        }
    }
}

/* Can a slot tell the next broker of it? A call is lent one when it is sent.
 * Another job has none when workers of its queue have gone since it was taken,
 * or when it was not forked. */
static bool can_be_told(const spawn_job *job)
{
    return job->slot || (job->perl && job->perl->pooled);
}

/* Can a note tell it? A call has its worker's ticket, which is written first.
 */
static bool can_be_noted(const spawn_job *job)
{
    return job->in_store && !(job->perl && job->perl->pooled);
}

/* When the store has it as one that starts: then it is given to the relay, by
 * turn_launch.c. */
static void hand_over(spawn_job *job)
{
    spawn_job_store_now(job);
    spawn_job_on(job, SPAWN_JOB_ORDERED);
    spawn_share_on_way(job, true);
    job->launch = true;
    spawn_job_changed(job);
}

/* Unstored jobs, and those that are noted, are launched by turn.c in this turn,
 * before the commit. */
static void start(spawn_job *job)
{
    if (spawn_job_away(job)) {
        hand_over(job);
        return;
    }
    if (spawn_job_unstored(job) && !can_be_told(job))
        spawn_job_store_now(job);
    spawn_job_on(job, SPAWN_JOB_ORDERED);
    if (job->perl && job->perl->pooled)
        spawn_pool_reserve(job);
    else if (job->perl)
        spawn_perl_order(job);
    job->launch = true;
    if (job->ledger)
        spawn_durable_order(job);
    else if (can_be_noted(job))
        spawn_job_tell_waiters(job);
    else
        spawn_job_changed(job);
}

static unsigned waiting_for_workers(const spawn_queue *q)
{
    const spawn_lane *lane;
    unsigned count = 0;

    for (lane = q->lanes; lane; lane = lane->next) {
        if (lane->pooled && code_is_there(lane))
            count += lane->count;
    }
    return count;
}

/* Other hosts may have places for jobs of a shared queue. */
static bool all_wait(const spawn_queue *q)
{
    return q->shared ? spawn_queue_paused(q) : spawn_queue_taken(q);
}

static void start_some(spawn_queue *q)
{
    spawn_job *job;

    while (!all_wait(q) && (job = next_of(q))) {
        if (!ends_first(job))
            start(job);
        else if (job->state == SPAWN_STATE_QUEUED)
            return; /* the queue waits for the next turn */
    }
}

bool spawn_schedule_at_once(const spawn_queue *q)
{
    return !q->shared && !spawn_queue_taken(q) && spawn_phase_launching();
}

void spawn_schedule(void)
{
    spawn_queue *q;

    if (!spawn_phase_launching())
        return;
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        bool starts = !spawn_queue_paused(q);

        if (q->pool)
            spawn_pool_dismiss_stale(q->pool);
        if (q->configured && starts) {
            fail_hopeless(q);
            start_some(q);
        }
        if (q->pool)
            spawn_pool_consider(q->pool, starts ? waiting_for_workers(q) : 0);
    }
}
