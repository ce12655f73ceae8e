/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues: their rules, and the jobs that wait in them. Runs in the broker.
 * Chooses no job to start: run/schedule.c does.
 */
#include "broker/job/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/job/perl.h"
#include "broker/job/rules.h"
#include "broker/job/share.h"

static spawn_queue *queues;
static uint64_t next_place; /* of the next job that waits */

/* A place is a priority and, in its lower bits, a number in the order of the
 * submits. The smallest place starts first. */
#define PLACE_BITS 48

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

/* First those that have numbers already: what is new may take a place. A queue
 * that is not configured gets none, though jobs are posted to it. */
void spawn_queues_count_from_now(void)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next) {
        if (!q->meter && spawn_meters_has(q->name))
            q->meter = spawn_meters_get(q->name);
    }
    for (q = queues; q; q = q->next) {
        if (!q->meter && q->configured)
            q->meter = spawn_meters_get(q->name);
    }
}

void spawn_queue_refused(const char *name, spawn_error reason)
{
    const spawn_queue *q = spawn_queue_find(name);

    spawn_meter_refused(q ? q->meter : NULL, reason);
}

static void names(spawn_queue_shown shown, const void *who, char *text,
                  size_t room)
{
    const spawn_queue *q;
    size_t n = 0;

    for (q = queues; q; q = q->next) {
        if (!q->configured || (shown && !shown(who, q->name)))
            continue;
        if (n + strlen(q->name) + sizeof(", ...") > room) {
            (void)snprintf(text + n, room - n, ", ...");
            return;
        }
        n += (size_t)snprintf(text + n, room - n, "%s%s", n ? ", " : "",
                              q->name);
    }
}

const spawn_queue *spawn_queue_known(const char *name, spawn_queue_shown shown,
                                     const void *who, spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(name);
    char text[160] = "";

    if (q && q->configured)
        return q;
    names(shown, who, text, sizeof(text));
    spawn_failure_set(why, SPAWN_E_UNKNOWN_QUEUE, SPAWN_STEP_QUEUE, 0,
                      "queue '%s' is not configured%s%s", name,
                      *text ? "; configured: " : "", text);
    return NULL;
}

spawn_queue *spawn_queue_get(const char *name)
{
    spawn_queue *q = spawn_queue_find(name), **last = &queues;

    if (!q) {
        q = spawn_alloc(sizeof(*q));
        (void)snprintf(q->name, sizeof(q->name), "%s", name);
        q->template = spawn_template_get(SPAWN_DEFAULT_TEMPLATE);
        q->grace_ms = SPAWN_DEFAULT_GRACE_MS;
        q->history_jobs = UINT64_MAX;
        while (*last) /* at the end: lists have the order of httpd.conf */
            last = &(*last)->next;
        *last = q;
    }
    return q;
}

static void free_pool(spawn_pool *pool)
{
    if (!pool)
        return;
    spawn_timer_clear(&pool->retry);
    spawn_timer_clear(&pool->idle_timer);
    free(pool->failure);
    free(pool);
}

/* Free queues that nothing needs. */
static void sweep(void)
{
    spawn_queue **at = &queues;

    while (*at) {
        spawn_queue *q = *at;

        if (q->configured || q->members || spawn_queue_changed(q)
            || (q->pool && q->pool->workers)) {
            at = &q->next;
        }
        else {
            *at = q->next;
            spawn_meters_leave(q->meter);
            free_pool(q->pool);
            free(q->defaults);
            free(q->allowed);
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

    q->told_max = max_jobs;
    q->max_jobs = q->control.scale ? q->control.scale : max_jobs;
    q->max_queued = max_queued;
    q->max_delayed = SPAWN_DEFAULT_MAX_DELAYED;
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
    spawn_template *template = job->perl ? job->perl->template : NULL;
    bool pooled = job->perl && job->perl->pooled;
    bool durable = job->ledger != SPAWN_IN_LEDGER_NOT;
    bool away = spawn_job_away(job);
    int64_t since = job->perl ? job->perl->since : 0;
    spawn_lane **at = &job->queue->lanes, *lane, *empty = NULL;

    for (; (lane = *at) != NULL; at = &lane->next) {
        if (lane->template == template && lane->pooled == pooled
            && lane->durable == durable && lane->away == away
            && lane->priority == job->priority && lane->since == since)
            return lane;
        if (lane->count == 0)
            empty = lane;
    }
    lane = empty ? empty : spawn_alloc(sizeof(*lane));
    if (!empty)
        *at = lane;
    lane->template = template;
    lane->pooled = pooled;
    lane->durable = durable;
    lane->away = away;
    lane->priority = job->priority;
    lane->since = since;
    return lane;
}

static void take_out_of_lane(spawn_job *job)
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
    if (lane->last_in == job)
        lane->last_in = job->prev ? job->prev : job->next;
    job->prev = job->next = NULL;
    lane->count--;
    job->queue->queued--;
    job->queue->came -= spawn_job_has_time(job);
}

/* It counts, but nothing may happen to it before it is on the disk, or before
 * the ledger is read. */
static bool is_asked(const spawn_job *job)
{
    return job->ledger == SPAWN_IN_LEDGER_ASKED
           || job->ledger == SPAWN_IN_LEDGER_UNREAD;
}

void spawn_queue_take_out(spawn_job *job)
{
    bool delayed = spawn_job_delayed(job);

    if (is_asked(job)) {
        job->queue->queued--;
        return;
    }

    if (job->rules) {
        spawn_moment_forget(&job->rules->due);
        spawn_moment_forget(&job->rules->expires);
    }
    if (delayed)
        job->queue->delayed--;
    else if (job->blocked)
        job->queue->blocked--;
    else
        take_out_of_lane(job);
}

/* The last job of the lane that came before this one, or NULL: at one end of
 * the lane nearly always. Jobs that are moved to another lane, or that come
 * after the same one, come in the order of their places, or against it: each
 * looks on from where the one before it was put. */
static spawn_job *last_before(const spawn_lane *lane, const spawn_job *job)
{
    spawn_job *before = lane->tail;

    if (lane->head && lane->head->place > job->place)
        return NULL;
    if (before && before->place < job->place)
        return before;
    if (lane->last_in)
        before = lane->last_in;
    while (before && before->next && before->next->place < job->place)
        before = before->next;
    while (before && before->place > job->place)
        before = before->prev;
    return before;
}

static void link_waiting(spawn_job *job)
{
    spawn_lane *lane = lane_of(job);
    spawn_job *before = last_before(lane, job);

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
    lane->last_in = job;
    job->queue->queued++;
    job->queue->came += spawn_job_has_time(job);
}

void spawn_queue_count(const spawn_job *job, int by)
{
    if (!is_busy(job->state))
        return;
    if (spawn_job_away(job))
        job->queue->away += (unsigned)by;
    else
        job->queue->busy += (unsigned)by;
}

static bool has_workers(const spawn_queue *q)
{
    return q->pool && q->pool->max > 0;
}

static bool fits_lane(const spawn_job *job)
{
    const spawn_queue *q = job->queue;
    const spawn_perl *perl = job->perl;

    if (!perl->named && perl->template != q->template)
        return false;
    return !perl->pooled || (has_workers(q) && perl->template == q->template);
}

/* Perl jobs that name no template follow their queue, and its workers serve
 * only those of its template. What they want of its code may be there: then any
 * process of it will do, since it never has an older one again. */
static void choose_lane(spawn_job *job)
{
    if (!job->perl->named)
        job->perl->template = job->queue->template;
    job->perl->pooled = job->perl->pooled && fits_lane(job);
    if (spawn_template_tried(job->perl->template, job->perl->since))
        job->perl->since = 0;
}

static uint64_t new_place(const spawn_job *job)
{
    return (uint64_t)(SPAWN_PRIORITY_MAX - job->priority) << PLACE_BITS
           | ++next_place;
}

/* True: it waits for its time. */
static bool wait_for_time(spawn_job *job)
{
    spawn_rules *r = job->rules;

    if (!r)
        return false;
    if (spawn_moment_is_set(&r->expires))
        spawn_moment_wait(&r->expires);
    if (!spawn_moment_is_set(&r->due) || spawn_moment_left(&r->due) <= 0)
        return false;
    spawn_moment_wait(&r->due);
    job->queue->delayed++;
    return true;
}

static void wait_for_turn(spawn_job *job)
{
    if (job->perl)
        choose_lane(job); /* the rules may have changed since it left */
    if (job->blocked)
        job->queue->blocked++;
    else
        link_waiting(job);
}

/* ---- for how long ---- */

static void waits_from_now(spawn_job *job)
{
    job->waits_since = (uint32_t)spawn_mono_ms();
}

int64_t spawn_queue_waited_ms(const spawn_job *job)
{
    return (int64_t)((uint32_t)spawn_mono_ms() - job->waits_since);
}

void spawn_queue_has_waited(spawn_job *job, int64_t ms)
{
    if (ms > 0 && ms < INT32_MAX)
        job->waits_since -= (uint32_t)ms;
}

/* ---- in ---- */

void spawn_queue_put_in(spawn_job *job, bool back)
{
    if (!back) {
        job->place = new_place(job);
        waits_from_now(job);
    }
    if (is_asked(job))
        job->queue->queued++;
    else if (!wait_for_time(job))
        wait_for_turn(job);
}

static void let_in(spawn_job *job, uint8_t ledger)
{
    spawn_queue_take_out(job);
    job->ledger = ledger; /* which says in which lane */
    spawn_queue_put_in(job, true);
}

void spawn_queue_let_in(spawn_job *job)
{
    let_in(job, SPAWN_IN_LEDGER_WAITS);
}

void spawn_queue_not_durable(spawn_job *job)
{
    let_in(job, SPAWN_IN_LEDGER_NOT);
}

void spawn_queue_wait_until(spawn_job *job, int64_t wall)
{
    spawn_queue_take_out(job);
    if (wall || job->rules)
        spawn_moment_at(&spawn_rules_get(job)->due, wall);
    spawn_queue_put_in(job, true);
}

void spawn_queue_due(spawn_job *job)
{
    job->queue->delayed--;
    job->place = new_place(job);
    waits_from_now(job);
    wait_for_turn(job);
}

static bool waits_for_turn(const spawn_job *job)
{
    return job->state == SPAWN_STATE_QUEUED && !is_asked(job)
           && !spawn_job_delayed(job);
}

void spawn_queue_block(spawn_job *job, unsigned why)
{
    if (!job->blocked && waits_for_turn(job)) {
        take_out_of_lane(job);
        job->queue->blocked++;
    }
    job->blocked |= (uint8_t)why;
}

void spawn_queue_unblock(spawn_job *job, unsigned why)
{
    bool was = job->blocked != 0;

    job->blocked &= (uint8_t)~why;
    if (!was || job->blocked || !waits_for_turn(job))
        return;
    job->queue->blocked--;
    wait_for_turn(job);
    spawn_loop_again();
}

/* ---- new rules ---- */

static void rechoose_lanes(spawn_queue *q)
{
    spawn_lane *lane;

    for (lane = q->lanes; lane; lane = lane->next) {
        spawn_job *job = lane->template ? lane->head : NULL;

        while (job) {
            spawn_job *next = job->next;

            if (!fits_lane(job)) {
                take_out_of_lane(job);
                choose_lane(job);
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
        unsigned waiting = q->queued + q->delayed + q->blocked;

        if (!q->configured && waiting)
            spawn_log(SPAWN_LOG_WARN,
                      MSNO(0510) "queue %s is not configured any more; its "
                                 "%u waiting jobs stay stored and do not "
                                 "start",
                      q->name, waiting);
        warn_of_template(q);
    }
}

void spawn_queue_rules_end(void)
{
    spawn_queue *q;

    for (q = queues; q; q = q->next) {
        q->configured = q->fresh;
        rechoose_lanes(q);
    }
    spawn_queues_warn();
    sweep();
    spawn_queues_count_from_now();
}

/* ---- changes by hand ---- */

void spawn_queue_change(spawn_queue *q, const spawn_queue_control *to)
{
    q->control = *to;
    q->max_jobs = to->scale ? to->scale : q->told_max;
    sweep();
}

void spawn_queues_tell_changed(void)
{
    static const char *const modes[] = {
        [SPAWN_QUEUE_OPEN] = "",
        [SPAWN_QUEUE_PAUSED] = " is paused and starts no jobs",
        [SPAWN_QUEUE_DRAINING] = " is drained and takes no jobs",
        [SPAWN_QUEUE_BOTH] = " is paused and drained: it starts and takes no "
                             "jobs"};
    const spawn_queue *q;
    char scaled[80];

    for (q = queues; q; q = q->next) {
        if (!spawn_queue_changed(q))
            continue;
        (void)snprintf(scaled, sizeof(scaled),
                       "%s %llu jobs at once in the place of SpawnMaxJobs",
                       q->control.mode ? ", and runs" : " runs",
                       (unsigned long long)q->control.scale);
        spawn_log(SPAWN_LOG_NOTICE,
                  MSNO(0516) "queue %s%s%s, since uid %lld has changed it by "
                             "spawnctl; 'spawnctl queues' shows it, 'spawnctl "
                             "resume' and 'spawnctl scale --undo' end it",
                  q->name, modes[q->control.mode],
                  q->control.scale ? scaled : "", (long long)q->control.uid);
    }
}

bool spawn_queue_full(const spawn_queue *q)
{
    uint64_t room = 0, waiting;

    if (q->busy < q->max_jobs && !spawn_queue_paused(q))
        room = q->max_jobs - q->busy;
    waiting = q->queued + q->blocked;
    return waiting >= room && waiting - room >= q->max_queued;
}

bool spawn_queue_full_of_delayed(const spawn_queue *q)
{
    return (uint64_t)q->delayed + q->came >= q->max_delayed;
}

bool spawn_queue_has_room(const spawn_queue *q, bool delayed)
{
    return !spawn_queue_drained(q)
           && !(delayed ? spawn_queue_full_of_delayed(q) : spawn_queue_full(q));
}

void spawn_queue_limits(spawn_job *job, const spawn_message *m)
{
    job->timeout_ms =
        (int64_t)spawn_u64_or(m, SPAWN_A_TIMEOUT, job->queue->timeout_ms);
    job->grace_ms =
        (int64_t)spawn_u64_or(m, SPAWN_A_GRACE, job->queue->grace_ms);
}
