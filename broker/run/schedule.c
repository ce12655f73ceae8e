/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: first in, first out among the jobs that can start, at most
 * max_jobs of a queue at once. Runs in the broker, once a turn. Must start
 * nothing before GO.
 */
#include "broker/run/schedule.h"

#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/perl.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"

static bool can_start(const spawn_queue *q, const spawn_lane *lane)
{
    if (lane->pooled)
        return spawn_pool_takes(q->pool);
    return !lane->template || spawn_template_takes(lane->template);
}

/* Jobs that the store did not take are passed over: they wait for their next
 * try, and hold up no other job until then. They are few, since slots of the
 * inbox keep them. */
static spawn_job *first_of(const spawn_lane *lane)
{
    spawn_job *job = lane->head;

    while (job && spawn_job_kept(job))
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

/* Nobody knows when their template can be loaded, so their callers are told
 * now. */
static void fail_hopeless(const spawn_queue *q)
{
    const spawn_lane *lane;

    for (lane = q->lanes; lane; lane = lane->next) {
        const char *why = lane->pooled ? spawn_pool_failure(q->pool)
                          : lane->template
                              ? spawn_template_failure(lane->template)
                              : NULL;

        while (why && lane->head) {
            spawn_job *job = lane->head;

            spawn_end_start_failed(job, SPAWN_STEP_TEMPLATE, 0, NULL);
            spawn_end_say(job->end,
                          lane->pooled
                                  && !spawn_template_failure(lane->template)
                              ? "no worker of template %s could get ready: %s"
                              : "template %s cannot be loaded: %s",
                          lane->template->name, why);
        }
    }
}

/* Does a slot, or the ticket, tell the next broker of it? Not when workers of
 * its queue have come or gone since it was taken. */
static bool is_told(const spawn_job *job)
{
    bool pooled = job->perl && job->perl->pooled;

    return pooled == (job->slot == 0);
}

/* An unstored call goes to its worker at once; other unstored jobs are launched
 * by turn.c, in this turn too. */
static void start(spawn_job *job)
{
    spawn_failure why;

    if (spawn_job_unstored(job) && !is_told(job))
        spawn_job_store_now(job);
    spawn_job_on(job, SPAWN_JOB_ORDERED);
    if (job->perl && job->perl->pooled)
        spawn_pool_reserve(job);
    else if (job->perl)
        spawn_perl_order(job);
    if (spawn_job_unstored(job) && job->slot == 0) {
        if (spawn_pool_call(job, job->body, &why))
            spawn_end_start_failed(job, why.step, why.error, why.text);
        return;
    }
    job->launch = true;
    spawn_job_changed(job);
}

static unsigned waiting_for_workers(const spawn_queue *q)
{
    const spawn_lane *lane;
    unsigned count = 0;

    for (lane = q->lanes; lane; lane = lane->next) {
        if (lane->pooled)
            count += lane->count;
    }
    return count;
}

bool spawn_schedule_due(void)
{
    const spawn_queue *q;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (q->configured && q->queued > 0 && q->busy < q->max_jobs)
            return spawn_phase_launching();
    }
    return false;
}

void spawn_schedule(void)
{
    spawn_queue *q;
    spawn_job *job;

    if (!spawn_phase_launching())
        return;
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (q->configured)
            fail_hopeless(q);
        while (q->configured && q->busy < q->max_jobs && (job = next_of(q)))
            start(job);
        if (q->pool)
            spawn_pool_consider(q->pool, waiting_for_workers(q));
    }
}
