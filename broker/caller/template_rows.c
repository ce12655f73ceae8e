/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates and workers as rows for people. Runs in the broker. Must change
 * nothing: it only looks. It says how much memory a process has, and not how
 * much of that it shares: the broker may not read that, spawnctl may.
 *
 * The values of a template as a whole (its running jobs, the faults of those
 * that have ended, why it cannot be loaded) stand in its first row, so that a
 * sum over all rows counts nothing twice.
 */
#include "broker/caller/template_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"
#include "broker/caller/access.h"

#define ROW_ROOM (SPAWN_WIRE_HEADER + 8192)

typedef struct {
    const spawn_peer *peer;
    spawn_row *rows, **last;
    uint32_t seq;
    spawn_writer w;
    uint8_t room[ROW_ROOM];
} listing;

/* A job that runs: as the last walk has found it, and neither its template nor
 * its queue need be there any more. */
typedef struct {
    const spawn_template *template;
    char queue[SPAWN_NAME_MAX + 1];
    pid_t pid;
} run;

static run *runs;
static size_t runs_used, runs_room;

/* The jobs of one template that run now. */
typedef struct {
    uint64_t count;
    uint32_t named;
    uint64_t pids[SPAWN_PIDS_MAX];
} running;

void spawn_rows_free(spawn_row *rows)
{
    while (rows) {
        spawn_row *next = rows->next;

        free(rows);
        rows = next;
    }
}

static void begin_row(listing *l, const char *template,
                      spawn_process_state state)
{
    spawn_writer_init_fixed(&l->w, l->room, sizeof(l->room));
    spawn_writer_begin(&l->w, SPAWN_M_PROCESS, l->seq);
    spawn_put_str(&l->w, SPAWN_A_TEMPLATE, template);
    spawn_put_u64(&l->w, SPAWN_A_PROCESS_STATE, state);
}

static void end_row(listing *l)
{
    spawn_row *row;

    if (spawn_writer_finish(&l->w, 0) < 0)
        return;
    row = spawn_alloc(sizeof(*row) + l->w.length);
    row->length = l->w.length;
    memcpy(row->data, l->w.data, l->w.length);
    *l->last = row;
    l->last = &row->next;
}

static void put_process(listing *l, pid_t pid, int64_t mono_started,
                        uint64_t served)
{
    int64_t age = spawn_mono_ms() - mono_started;
    uint64_t resident = pid > 0 ? spawn_os_resident(pid) : 0;

    if (pid > 0)
        spawn_put_u64(&l->w, SPAWN_A_PID, (uint64_t)pid);
    if (resident)
        spawn_put_u64(&l->w, SPAWN_A_RESIDENT, resident);
    spawn_put_u64(&l->w, SPAWN_A_STARTED_AT, (uint64_t)(spawn_wall_ms() - age));
    spawn_put_u64(&l->w, SPAWN_A_SERVED, served);
}

/* ---- templates ---- */

/* In one walk for all templates. */
static void find_runs(void)
{
    static int64_t walked_at;
    const spawn_job *job;
    run *r;

    if (!spawn_job_walk(&walked_at))
        return;
    runs_used = 0;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (!job->perl || job->perl->worker
            || job->state != SPAWN_STATE_RUNNING)
            continue;
        runs = spawn_array_grow(runs, runs_used, &runs_room, sizeof(*runs));
        r = &runs[runs_used++];
        r->template = job->perl->template;
        r->pid = job->pid;
        (void)snprintf(r->queue, sizeof(r->queue), "%s", job->queue->name);
    }
}

static void count_running(const spawn_peer *peer, const spawn_template *t,
                          running *ret)
{
    const run *r;

    ret->count = ret->named = 0;
    for (r = runs; r < runs + runs_used; r++) {
        if (r->template != t
            || !spawn_access_has(peer, r->queue, SPAWN_MAY_SEE))
            continue;
        ret->count++;
        if (ret->named < SPAWN_PIDS_MAX && r->pid > 0)
            ret->pids[ret->named++] = (uint64_t)r->pid;
    }
}

static void put_whole(listing *l, const spawn_template *t)
{
    const uint64_t faults[] = {t->ended, t->faults};
    running now;

    count_running(l->peer, t, &now);
    spawn_put_u64(&l->w, SPAWN_A_RUNNING, now.count);
    if (now.named)
        spawn_put_u64v(&l->w, SPAWN_A_PIDS, now.pids, now.named);
    spawn_put_u64v(&l->w, SPAWN_A_FAULTS, faults, 2);
    if (spawn_template_configured(t))
        spawn_put_u64(&l->w, SPAWN_A_TEMPLATE_SPARES, t->spares);
    if (spawn_template_configured(t) && t->failure)
        spawn_put_str(&l->w, SPAWN_A_TEXT, t->failure);
}

static spawn_process_state state_of(const spawn_template_process *i)
{
    switch (i->state) {
    case SPAWN_TEMPLATE_PROCESS_STARTING:
        return SPAWN_PROCESS_PRELOADING;
    case SPAWN_TEMPLATE_PROCESS_READY:
        return SPAWN_PROCESS_READY;
    default:
        return SPAWN_PROCESS_LEAVING;
    }
}

/* i: NULL when the template has no process. */
static void template_row(listing *l, const spawn_template *t,
                         const spawn_template_process *i, bool first)
{
    begin_row(l, t->name, i ? state_of(i) : SPAWN_PROCESS_NONE);
    if (t->kind)
        spawn_put_u64(&l->w, SPAWN_A_TEMPLATE_KIND, t->kind);
    if (i)
        put_process(l, i->pid, i->mono_started, i->jobs);
    if (first)
        put_whole(l, t);
    end_row(l);
}

/* First the one that takes orders, then the one that will, then the others. */
static void template_rows(listing *l, const spawn_template *t)
{
    const spawn_template_process *i;
    bool first = true;

    if (t->current) {
        template_row(l, t, t->current, true);
        first = false;
    }
    if (t->coming) {
        template_row(l, t, t->coming, first);
        first = false;
    }
    for (i = t->processes; i; i = i->next) {
        if (i == t->current || i == t->coming || i->gone)
            continue;
        template_row(l, t, i, first);
        first = false;
    }
    if (first && spawn_template_configured(t))
        template_row(l, t, NULL, true);
}

/* ---- workers ---- */

static spawn_process_state worker_state(const spawn_worker *w)
{
    switch (w->state) {
    case SPAWN_WORKER_COMING:
        return SPAWN_PROCESS_STARTING;
    case SPAWN_WORKER_IDLE:
        return SPAWN_PROCESS_IDLE;
    case SPAWN_WORKER_BUSY:
        return SPAWN_PROCESS_BUSY;
    default:
        return SPAWN_PROCESS_LEAVING;
    }
}

static void worker_row(listing *l, const spawn_worker *w)
{
    const spawn_queue *q = w->pool->queue;
    const spawn_template_process *from =
        spawn_template_process_find(&w->template_id);

    /* The queue may have another template by now. */
    begin_row(l, from ? from->template->name : q->template->name,
              worker_state(w));
    spawn_put_str(&l->w, SPAWN_A_QUEUE, q->name);
    put_process(l, w->pid, w->mono_started, w->calls);
    end_row(l);
}

/* The row of a queue whose workers cannot get ready. */
static void failed_row(listing *l, const spawn_queue *q)
{
    begin_row(l, q->template->name, SPAWN_PROCESS_NONE);
    spawn_put_str(&l->w, SPAWN_A_QUEUE, q->name);
    spawn_put_str(&l->w, SPAWN_A_TEXT, q->pool->failure);
    end_row(l);
}

bool spawn_template_is_seen(const void *of, const spawn_template *t)
{
    const spawn_peer *peer = of;
    const spawn_queue *q;
    bool has_queue = false;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (q->template != t)
            continue;
        if (spawn_access_has(peer, q->name, SPAWN_MAY_SEE))
            return true;
        has_queue = true;
    }
    return !has_queue && spawn_access_has(peer, "", SPAWN_MAY_SEE);
}

spawn_row *spawn_processes(const spawn_peer *peer, uint32_t seq)
{
    static listing l;
    const spawn_template *t;
    const spawn_worker *w;
    const spawn_queue *q;

    l.peer = peer;
    l.rows = NULL;
    l.last = &l.rows;
    l.seq = seq;
    find_runs();
    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        if (spawn_template_is_seen(peer, t))
            template_rows(&l, t);
    }
    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        if (spawn_access_has(peer, w->pool->queue->name, SPAWN_MAY_SEE))
            worker_row(&l, w);
    }
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (q->configured && q->pool && q->pool->max && q->pool->failure
            && q->pool->alive == 0
            && spawn_access_has(peer, q->name, SPAWN_MAY_SEE))
            failed_row(&l, q);
    }
    return l.rows;
}
