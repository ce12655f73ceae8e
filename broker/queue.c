/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues and the scheduler: first in, first out, at most max_jobs at once.
 * Runs in the broker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/spawn_log.h"
#include "alloc.h"
#include "life.h"
#include "queue.h"
#include "turn.h"

static spawn_queue *queues;

spawn_queue *spawn_queue_find(const char *name)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next) {
        if (strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

static spawn_queue *find_or_make(const char *name)
{
    spawn_queue *q = spawn_queue_find(name);

    if (!q) {
        q = spawn_alloc(sizeof(*q));
        (void)snprintf(q->name, sizeof(q->name), "%s", name);
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

        if (q->configured || q->members) {
            at = &q->next;
        }
        else {
            *at = q->next;
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

void spawn_queue_rule(const char *name, uint64_t max_jobs, uint64_t max_queued,
                      uint64_t timeout_ms)
{
    spawn_queue *q = find_or_make(name);

    q->max_jobs = max_jobs;
    q->max_queued = max_queued;
    q->timeout_ms = timeout_ms;
    q->configured = q->fresh = true;
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
    }
}

void spawn_queue_rules_end(void)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next)
        q->configured = q->fresh;
    spawn_queues_warn();
    sweep();
}

void spawn_queue_join(spawn_job *job, const char *name)
{
    job->queue = find_or_make(name);
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

static void unlink_waiting(spawn_job *job)
{
    spawn_queue *q = job->queue;

    if (job->prev)
        job->prev->next = job->next;
    else
        q->head = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        q->tail = job->prev;
    job->prev = job->next = NULL;
    q->queued--;
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

void spawn_queue_push(spawn_job *job, bool back)
{
    spawn_queue *q = job->queue;
    spawn_job *at;

    spawn_queue_state(job, SPAWN_STATE_NONE);
    job->state = SPAWN_STATE_QUEUED;
    /* Back at its place: before all that came later. */
    for (at = back ? q->head : NULL; at; at = at->next) {
        if (at->seq == 0 || at->seq > job->seq)
            break;
    }
    job->next = at;
    job->prev = at ? at->prev : q->tail;
    if (job->prev)
        job->prev->next = job;
    else
        q->head = job;
    if (at)
        at->prev = job;
    else
        q->tail = job;
    q->queued++;
}

bool spawn_queue_full(const spawn_queue *q)
{
    uint64_t room = 0;

    if (q->busy < q->max_jobs)
        room = q->max_jobs - q->busy;
    return q->queued >= room && q->queued - room >= q->max_queued;
}

void spawn_queue_schedule(void)
{
    spawn_queue *q;

    if (!spawn_life_launching())
        return;
    for (q = queues; q; q = q->next) {
        while (q->configured && q->head && q->busy < q->max_jobs) {
            spawn_job *job = q->head;

            spawn_queue_state(job, SPAWN_STATE_STARTING);
            job->launch = true;
            spawn_turn_touch(job);
        }
    }
}
