/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about queues: their rules, what runs and waits in them, and changes
 * by hand. Runs in the broker, on checked messages. A change is stored before
 * it is answered, and told in the log with the account that made it.
 */
#include "broker/caller/queue_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/job/account.h"
#include "broker/job/allowed.h"
#include "broker/job/defaults.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/template.h"
#include "broker/store/store.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"

/* ---- rows ---- */

/* Since when it waits: its submit, or the time for which it had to wait. */
static int64_t waits_since(const spawn_job *job)
{
    int64_t due =
        spawn_job_has_time(job) ? spawn_moment_time(&job->rules->due) : 0;

    return due > job->submitted_at ? due : job->submitted_at;
}

/* The submit of the job that waits longest, of each queue: in one walk, since
 * there may be a million jobs, and then not for each caller that asks. */
void spawn_queues_find_oldest(void)
{
    static int64_t walked_at;
    spawn_queue *q;
    const spawn_job *job;
    int64_t since;

    if (!spawn_job_walk(&walked_at))
        return;
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q))
        q->oldest = 0;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->state != SPAWN_STATE_QUEUED || spawn_job_delayed(job))
            continue;
        q = job->queue;
        since = waits_since(job);
        if (!q->oldest || since < q->oldest)
            q->oldest = since;
    }
}

static void put_pool(const spawn_pool *pool, spawn_writer *w)
{
    if (!pool || !pool->max)
        return;
    spawn_put_u64(w, SPAWN_A_WORKERS_MIN, pool->min);
    spawn_put_u64(w, SPAWN_A_WORKERS_MAX, pool->max);
    spawn_put_u64(w, SPAWN_A_WORKER_JOBS, pool->calls);
    spawn_put_u64(w, SPAWN_A_WORKER_MEMORY, pool->memory);
    spawn_put_u64(w, SPAWN_A_WORKER_IDLE, (uint64_t)pool->idle_ms);
}

static void put_rules(const spawn_queue *q, spawn_writer *w)
{
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, q->told_max);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, q->max_queued);
    spawn_put_u64(w, SPAWN_A_MAX_DELAYED, q->max_delayed);
    if (q->timeout_ms)
        spawn_put_u64(w, SPAWN_A_TIMEOUT, q->timeout_ms);
    spawn_put_u64(w, SPAWN_A_GRACE, q->grace_ms);
    spawn_put_str(w, SPAWN_A_TEMPLATE, q->template->name);
    put_pool(q->pool, w);
    if (q->history_jobs != UINT64_MAX)
        spawn_put_u64(w, SPAWN_A_HISTORY_JOBS, q->history_jobs);
    if (q->history_ms)
        spawn_put_u64(w, SPAWN_A_HISTORY_AGE, (uint64_t)q->history_ms);
    spawn_defaults_put_row(q, w);
    spawn_account_put_row(q, w);
    spawn_allowed_put_row(q, w);
    spawn_access_put_row(q, w);
}

static void put_queue(const spawn_queue *q, spawn_writer *w)
{
    const spawn_queue_control *c = &q->control;
    unsigned lent = q->pool ? q->pool->lent : 0;

    spawn_put_str(w, SPAWN_A_QUEUE, q->name);
    put_rules(q, w);
    spawn_put_u64(w, SPAWN_A_RUNNING, q->busy + lent);
    spawn_put_u64(w, SPAWN_A_WAITING, q->queued + q->blocked);
    spawn_put_u64(w, SPAWN_A_DELAYED, q->delayed);
    if (q->oldest && q->queued + q->blocked > 0)
        spawn_put_u64(w, SPAWN_A_OLDEST_AT, (uint64_t)q->oldest);
    spawn_put_u64(w, SPAWN_A_QUEUE_MODE, c->mode);
    if (c->scale)
        spawn_put_u64(w, SPAWN_A_SCALED_TO, c->scale);
    if (spawn_queue_changed(q)) {
        spawn_put_u64(w, SPAWN_A_CHANGED_AT, (uint64_t)c->changed);
        spawn_put_u64(w, SPAWN_A_CHANGED_BY, (uint64_t)c->uid);
    }
    if (!q->configured)
        spawn_put_u64(w, SPAWN_A_REMOVED, 1);
}

static spawn_row *row_of(const spawn_queue *q, uint32_t seq)
{
    spawn_row *row = NULL;
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_QUEUE_STATE_MAX);
    spawn_writer_begin(&w, SPAWN_M_QUEUE_STATE, seq);
    put_queue(q, &w);
    if (spawn_writer_finish(&w, 0) == 0) {
        row = spawn_alloc(sizeof(*row) + w.length);
        row->length = w.length;
        memcpy(row->data, w.data, w.length);
    }
    spawn_writer_free(&w);
    return row;
}

bool spawn_queue_is_told(const spawn_queue *q)
{
    return q->configured || q->members || spawn_queue_changed(q);
}

/* one NULL: of all that the caller may see. */
static void answer_rows(spawn_peer *peer, const spawn_message *m,
                        const spawn_queue *one)
{
    spawn_ask *a = spawn_alloc(sizeof(*a));
    spawn_row **last = &a->told;
    const spawn_queue *q = NULL;

    a->seq = m->header.seq;
    a->rows_there = true;
    spawn_queues_find_oldest();
    while ((q = spawn_queue_next(q))) {
        if (one ? q != one
                : !spawn_queue_is_told(q)
                      || !spawn_access_has(peer, q->name, SPAWN_MAY_SEE))
            continue;
        *last = row_of(q, m->header.seq);
        if (*last)
            last = &(*last)->next;
    }
    spawn_peer_ask(peer, a);
}

/* ---- changes ---- */

static void refuse(spawn_peer *peer, const spawn_message *m,
                   const spawn_failure *why)
{
    spawn_peer_refuse(peer, m->header.seq, NULL, why);
}

/* One that is removed can be resumed all the same. */
static spawn_queue *find(const spawn_peer *peer, const char *name,
                         uint64_t what, spawn_failure *why)
{
    spawn_queue *q = spawn_queue_find(name);

    if (q
        && (q->configured || spawn_queue_changed(q)
            || what == SPAWN_QUEUE_LIST))
        return q;
    (void)spawn_access_queue(peer, name, why);
    return NULL;
}

/* One spawner runs the jobs of all queues. */
static int check_scale(const spawn_queue *of, uint64_t scale,
                       spawn_failure *why)
{
    const spawn_queue *q = NULL;
    uint64_t sum = 0;

    while ((q = spawn_queue_next(q)))
        sum += (q == of ? scale : q->max_jobs) + (q->pool ? q->pool->max : 0);
    if (scale > 0 && scale <= SPAWN_QUEUE_SCALE_MAX
        && sum <= SPAWN_QUEUE_SCALE_MAX)
        return 0;
    if (scale == 0)
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "0 jobs at once: wanted: 1 or more; 'spawnctl pause' "
                          "starts none");
    else
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "%llu jobs at once, %llu of all queues: %d are "
                          "possible",
                          (unsigned long long)scale, (unsigned long long)sum,
                          SPAWN_QUEUE_SCALE_MAX);
    return -1;
}

static int wanted(const spawn_queue *q, const spawn_message *m, uint64_t what,
                  spawn_queue_control *ret, spawn_failure *why)
{
    *ret = q->control;
    switch (what) {
    case SPAWN_QUEUE_PAUSE:
        ret->mode |= SPAWN_QUEUE_PAUSED;
        return 0;
    case SPAWN_QUEUE_UNPAUSE:
        ret->mode &= (uint8_t)~SPAWN_QUEUE_PAUSED;
        return 0;
    case SPAWN_QUEUE_DRAIN:
        ret->mode |= SPAWN_QUEUE_DRAINING;
        return 0;
    case SPAWN_QUEUE_UNDRAIN:
        ret->mode &= (uint8_t)~SPAWN_QUEUE_DRAINING;
        return 0;
    case SPAWN_QUEUE_RESUME:
        ret->mode = SPAWN_QUEUE_OPEN;
        return 0;
    default:
        ret->scale = spawn_u64_or(m, SPAWN_A_MAX_JOBS, 0);
        return spawn_has(m, SPAWN_A_MAX_JOBS) ? check_scale(q, ret->scale, why)
                                              : 0;
    }
}

static void tell(const spawn_queue *q, const spawn_peer *peer, uint64_t what)
{
    static const char *const words[] = {
        [SPAWN_QUEUE_PAUSE] = "is paused: it starts no jobs",
        [SPAWN_QUEUE_RESUME] = "is resumed",
        [SPAWN_QUEUE_DRAIN] = "is drained: it takes no jobs",
        [SPAWN_QUEUE_UNPAUSE] = "is not paused any more",
        [SPAWN_QUEUE_UNDRAIN] = "is not drained any more"};
    char text[64], who[40 + SPAWN_NAME_MAX];

    (void)snprintf(who, sizeof(who), "uid %ld, queue %s", (long)peer->uid,
                   q->name);
    (void)snprintf(text, sizeof(text), "runs %llu jobs at once%s",
                   (unsigned long long)q->max_jobs,
                   q->control.scale ? "" : ", as SpawnMaxJobs says");
    spawn_log_few(who, SPAWN_LOG_BY_HAND, SPAWN_LOG_NOTICE,
                  MSNO(0517) "queue %s %s; by uid %lu, pid %ld", q->name,
                  what == SPAWN_QUEUE_SCALE ? text : words[what],
                  (unsigned long)peer->uid, (long)peer->pid);
}

/* 0; -1: nothing was changed. */
static int change(spawn_peer *peer, const spawn_message *m, uint64_t what,
                  spawn_queue *q, spawn_failure *why)
{
    spawn_queue_control to;

    if (wanted(q, m, what, &to, why))
        return -1;
    if (to.mode == q->control.mode && to.scale == q->control.scale)
        return 0;
    to.changed = spawn_wall_ms();
    to.uid = (int64_t)peer->uid;
    if (spawn_store_control(peer->batch->store, q->name, &to)) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store cannot be written; see the error log");
        return -1;
    }
    q->control = to; /* before it can go */
    q->max_jobs = to.scale ? to.scale : q->told_max;
    tell(q, peer, what);
    return 0;
}

void spawn_request_queues(spawn_peer *peer, const spawn_message *m,
                          spawn_packet *p, const spawn_id *id)
{
    uint64_t what = spawn_attr_u64(&m->attr[SPAWN_A_QUEUE_DO]);
    const char *name = spawn_str_or(m, SPAWN_A_QUEUE, "");
    spawn_queue *q = NULL;
    spawn_failure why;

    (void)p;
    (void)id;
    spawn_failure_set(&why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                      "queue_do: wanted: list, or a change");
    if (what > SPAWN_QUEUE_UNDRAIN) {
        refuse(peer, m, &why);
        return;
    }
    if (*name || what != SPAWN_QUEUE_LIST) {
        q = find(peer, name, what, &why);
        if (!q
            || (what != SPAWN_QUEUE_LIST && change(peer, m, what, q, &why))) {
            refuse(peer, m, &why);
            return;
        }
    }
    answer_rows(peer, m, q);
    if (what != SPAWN_QUEUE_LIST)
        spawn_queue_change(q, &q->control); /* it may go now */
}
