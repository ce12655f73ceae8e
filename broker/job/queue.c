/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues and the scheduler: first in, first out among those that can start, at
 * most max_jobs at once. Runs in the broker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_job.h"
#include "common/spawn_log.h"
#include "broker/base/alloc.h"
#include "broker/job/end.h"
#include "broker/job/changes.h"
#include "broker/life.h"
#include "broker/run/pool.h"
#include "broker/job/queue.h"
#include "broker/turn.h"

static spawn_queue *queues;
static uint64_t orders; /* given to those that came to wait */

spawn_queue *spawn_queue_find(const char *name)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next) {
        if (strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

spawn_queue *spawn_queue_next(const spawn_queue *q)
{
    return q ? q->next : queues;
}

spawn_queue *spawn_queue_get(const char *name)
{
    spawn_queue *q = spawn_queue_find(name);

    if (!q) {
        q = spawn_alloc(sizeof(*q));
        (void)snprintf(q->name, sizeof(q->name), "%s", name);
        q->template = spawn_template_get(SPAWN_DEFAULT_TEMPLATE);
        q->next = queues;
        queues = q;
    }
    return q;
}

/* Free queues that nothing needs. */
static void sweep(void)
{
    spawn_queue **at = &queues;

    while (*at) {
        spawn_queue *q = *at;

        if (q->configured || q->members
            || (q->pool && !spawn_pool_free(q->pool))) {
            at = &q->next;
        }
        else {
            *at = q->next;
            while (q->lanes) {
                spawn_lane *lane = q->lanes;

                q->lanes = lane->next;
                free(lane);
            }
            free(q);
        }
    }
}

void spawn_queue_rules_begin(void)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next)
        q->fresh = false;
}

spawn_queue *spawn_queue_rule(const char *name, uint64_t max_jobs,
                              uint64_t max_queued, uint64_t timeout_ms,
                              const char *template)
{
    spawn_queue *q = spawn_queue_get(name);

    q->max_jobs = max_jobs;
    q->max_queued = max_queued;
    q->timeout_ms = timeout_ms;
    q->template = spawn_template_get(template);
    q->configured = q->fresh = true;
    return q;
}

void spawn_queue_join(spawn_job *job, const char *name)
{
    job->queue = spawn_queue_get(name);
    job->queue->members++;
}

void spawn_queue_leave(spawn_job *job)
{
    spawn_queue *q = job->queue;

    job->queue = NULL;
    if (--q->members == 0 && !q->configured)
        sweep();
}

static bool is_busy(unsigned state)
{
    return state == SPAWN_STATE_STARTING || state == SPAWN_STATE_RUNNING;
}

static spawn_lane *lane_of(const spawn_job *job)
{
    const spawn_template *template = job->perl ? job->perl->template : NULL;
    spawn_lane **at = &job->queue->lanes;

    bool pooled = job->perl && job->perl->pooled;

    while (*at && ((*at)->template != template || (*at)->pooled != pooled))
        at = &(*at)->next;
    if (!*at) {
        *at = spawn_alloc(sizeof(**at));
        (*at)->template = job->perl ? job->perl->template : NULL;
        (*at)->pooled = pooled;
    }
    return *at;
}

static void unlink_waiting(spawn_job *job)
{
    spawn_lane *lane = lane_of(job);

    if (job->prev)
        job->prev->next = job->next;
    else
        lane->head = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        lane->tail = job->prev;
    job->prev = job->next = NULL;
    lane->count--;
    job->queue->queued--;
}

/* Before all that came later: at one end of its lane nearly always. */
static void link_waiting(spawn_job *job)
{
    spawn_lane *lane = lane_of(job);
    spawn_job *before = lane->tail; /* it */

    if (lane->head && lane->head->order > job->order)
        before = NULL;
    while (before && before->order > job->order)
        before = before->prev;
    job->prev = before;
    job->next = before ? before->next : lane->head;
    if (job->prev)
        job->prev->next = job;
    else
        lane->head = job;
    if (job->next)
        job->next->prev = job;
    else
        lane->tail = job;
    lane->count++;
    job->queue->queued++;
}

void spawn_queue_state(spawn_job *job, spawn_state state)
{
    if (job->state == SPAWN_STATE_QUEUED)
        unlink_waiting(job);
    if (is_busy(job->state))
        job->queue->busy--;
    if (is_busy(state))
        job->queue->busy++;
    job->state = (uint8_t)state;
}

static bool has_workers(const spawn_queue *q)
{
    return q->pool && q->pool->max > 0;
}

static bool suits(const spawn_job *job)
{
    const spawn_queue *q = job->queue;
    const spawn_perl *perl = job->perl;

    if (!perl->named && perl->template != q->template)
        return false;
    return !perl->pooled || (has_workers(q) && perl->template == q->template);
}

/* Perl jobs that name no template follow their queue, and its workers serve
 * only those of its template. */
static void suit(spawn_job *job)
{
    if (!job->perl->named)
        job->perl->template = job->queue->template;
    job->perl->pooled = job->perl->pooled && suits(job);
}

void spawn_queue_push(spawn_job *job, bool back)
{
    spawn_queue_state(job, SPAWN_STATE_NONE);
    if (job->perl)
        suit(job); /* the rules may have changed since it left */
    job->state = SPAWN_STATE_QUEUED;
    if (!back)
        job->order = ++orders;
    link_waiting(job);
}

/* ---- new rules ---- */

static void follow(spawn_queue *q)
{
    spawn_lane *lane;

    for (lane = q->lanes; lane; lane = lane->next) {
        spawn_job *job = lane->template ? lane->head : NULL;

        while (job) {
            spawn_job *next = job->next;

            if (!suits(job)) {
                unlink_waiting(job);
                suit(job);
                link_waiting(job);
            }
            job = next;
        }
    }
}

static void warn_of_template(const spawn_queue *q)
{
    const spawn_lane *lane;

    for (lane = q->lanes; lane; lane = lane->next) {
        if (lane->head && lane->template
            && !spawn_template_configured(lane->template))
            spawn_log(SPAWN_LOG_WARN,
                      MSNO(0511) "template %s is not configured any more; "
                                 "Perl jobs that wait for it in queue %s stay "
                                 "stored and do not start",
                      lane->template->name, q->name);
    }
}

void spawn_queues_warn(void)
{
    const spawn_queue *q;

    for (q = queues; q; q = q->next) {
        if (!q->configured && q->queued)
            spawn_log(SPAWN_LOG_WARN,
                      MSNO(0510) "queue %s is not configured any more; its "
                                 "%u waiting jobs stay stored and do not "
                                 "start",
                      q->name, q->queued);
        warn_of_template(q);
    }
}

void spawn_queue_rules_end(void)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next) {
        q->configured = q->fresh;
        follow(q);
    }
    spawn_queues_warn();
    sweep();
}

bool spawn_queue_full(const spawn_queue *q)
{
    uint64_t room = 0;

    if (q->busy < q->max_jobs)
        room = q->max_jobs - q->busy;
    return q->queued >= room && q->queued - room >= q->max_queued;
}

static bool can_start(const spawn_queue *q, const spawn_lane *lane)
{
    if (lane->pooled)
        return spawn_pool_takes(q->pool);
    return !lane->template || spawn_template_takes(lane->template);
}

/* The one that waits longest of those that can start. */
static spawn_job *next_of(const spawn_queue *q)
{
    const spawn_lane *lane;
    spawn_job *job = NULL;

    for (lane = q->lanes; lane; lane = lane->next) {
        if (lane->head && (!job || lane->head->order < job->order)
            && can_start(q, lane))
            job = lane->head;
    }
    return job;
}

/* Nobody knows when their template can be loaded: better to be told. */
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

/* Calls for which the store is not asked go to their worker at once. */
static void start(spawn_job *job)
{
    spawn_failure why;

    if (job->light && !job->perl->pooled)
        spawn_later_store(job); /* there are no workers any more */
    spawn_queue_state(job, SPAWN_STATE_STARTING);
    if (job->perl && job->perl->pooled)
        spawn_pool_reserve(job);
    else if (job->perl)
        spawn_perl_order(job);
    if (job->light) {
        if (spawn_pool_call(job, job->body, &why))
            spawn_end_start_failed(job, why.step, why.error, why.text);
        return;
    }
    job->launch = true;
    spawn_turn_touch(job);
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

void spawn_queue_schedule(void)
{
    spawn_queue *q;
    spawn_job *job;

    if (!spawn_life_launching())
        return;
    for (q = queues; q; q = q->next) {
        if (q->configured)
            fail_hopeless(q);
        while (q->configured && q->busy < q->max_jobs && (job = next_of(q)))
            start(job);
        if (q->pool)
            spawn_pool_consider(q->pool, waiting_for_workers(q));
    }
}
