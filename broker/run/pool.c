/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools: which worker is forked when, and which call it gets. Runs in the
 * broker. Must not give a worker another call before the ticket of the last one
 * may go.
 *
 * A worker belongs to the process of the template that it was forked from: when
 * another process takes the template's place (a restart of httpd, its age), the
 * worker ends after its call, and new code serves the next call. It belongs to
 * the rules of its queue, too: by others it does not get another call.
 */
#include "broker/run/pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "broker/base/alloc.h"
#include "broker/base/backoff.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/defaults.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/worker.h"
#include "broker/run/lease.h"

/* ---- rules ---- */

static void forgive(spawn_pool *pool)
{
    free(pool->failure);
    pool->failure = NULL;
}

void spawn_pool_works(spawn_pool *pool)
{
    pool->failures = 0;
    forgive(pool);
}

/* The next call that wants a worker has one forked. */
static void try_again(spawn_timer *timer)
{
    forgive(SPAWN_OWNER(timer, spawn_pool, retry));
}

static void idle_over(spawn_timer *timer);

static spawn_pool *make(spawn_queue *q)
{
    spawn_pool *pool = spawn_alloc(sizeof(*pool));

    pool->queue = q;
    pool->retry.fire = try_again;
    pool->idle_timer.fire = idle_over;
    q->pool = pool;
    return pool;
}

void spawn_pool_rule(spawn_queue *q, const spawn_pool_rules *rules)
{
    spawn_pool *pool = q->pool;

    if (!pool && rules->max == 0)
        return;
    if (!pool)
        pool = make(q);
    pool->min = rules->min;
    pool->max = rules->max;
    pool->calls = rules->calls;
    pool->memory = rules->memory;
    pool->idle_ms = rules->idle_ms;
    spawn_pool_works(pool);
    spawn_timer_clear(&pool->retry);
}

/* The pool of that queue; both are made when they are missing. */
static spawn_pool *pool_of(const char *queue)
{
    spawn_queue *q = spawn_queue_get(queue);

    return q->pool ? q->pool : make(q);
}

/* ---- one worker's state ---- */

static void count(const spawn_worker *w, int by)
{
    spawn_pool *pool = w->pool;

    if (w->state == SPAWN_WORKER_LEAVING)
        return;
    pool->alive += (unsigned)by;
    if (w->state == SPAWN_WORKER_IDLE)
        pool->idle += (unsigned)by;
    if (w->state == SPAWN_WORKER_COMING)
        pool->coming += (unsigned)by;
}

/* From now on it has nothing to do. */
static void become_idle(spawn_worker *w)
{
    spawn_pool *pool = w->pool;

    w->idle_since = spawn_mono_ms();
    if (pool->alive > pool->min && !pool->idle_timer.place)
        spawn_timer_set(&pool->idle_timer, w->idle_since + pool->idle_ms);
}

void spawn_pool_adopt(const spawn_id *id, const spawn_message *m,
                      spawn_packet *p)
{
    bool useful;
    spawn_worker *w = spawn_worker_adopt(id, m, p, pool_of, &useful);

    if (!w)
        return;
    count(w, +1);
    w->lent_counted = w->lent == SPAWN_LENT;
    w->pool->lent += w->lent_counted;
    if (w->state == SPAWN_WORKER_IDLE)
        become_idle(w);
    if (!useful || w->rules != w->pool->rules)
        spawn_pool_dismiss(w);
}

void spawn_pool_dismiss(spawn_worker *w)
{
    spawn_lease_end(w);
    count(w, -1);
    spawn_worker_dismiss(w);
    count(w, +1);
}

static void become(spawn_worker *w, spawn_worker_state state)
{
    count(w, -1);
    w->state = state;
    count(w, +1);
}

void spawn_pool_leaves(spawn_worker *w)
{
    become(w, SPAWN_WORKER_LEAVING);
}

void spawn_pool_nothing_to_do(spawn_worker *w)
{
    become(w, SPAWN_WORKER_IDLE);
    if (w->retire || w->unparented || w->link.fd < 0)
        spawn_pool_dismiss(w);
    else
        become_idle(w);
}

/* Workers over min that were idle for so long leave. */
static void idle_over(spawn_timer *timer)
{
    spawn_pool *pool = SPAWN_OWNER(timer, spawn_pool, idle_timer);
    int64_t now = spawn_mono_ms(), next = 0;
    spawn_worker *w;

    for (w = pool->workers; w; w = w->pool_next) {
        if (w->state != SPAWN_WORKER_IDLE || pool->alive <= pool->min)
            continue;
        if (w->idle_since + pool->idle_ms <= now)
            spawn_pool_dismiss(w);
        else if (!next || w->idle_since < next)
            next = w->idle_since;
    }
    if (next)
        spawn_timer_set(timer, next + pool->idle_ms);
}

/* ---- scheduling ---- */

/* Does the call take for this stream what the workers have? A file that a call
 * names is its own. */
static bool is_theirs(const spawn_queue *q, const spawn_message *m,
                      unsigned attr)
{
    spawn_stdio s;

    if (!spawn_has(m, attr))
        return true;
    spawn_attr_stdio(&m->attr[attr], &s);
    return s.how != SPAWN_STDIO_PATH
           && s.how
                  == (attr == SPAWN_A_STDIN ? SPAWN_STDIO_NULL
                                            : spawn_defaults_output(q, attr));
}

bool spawn_pool_serves(const spawn_queue *q, const spawn_message *m)
{
    static const uint8_t of_its_own[] = {
        SPAWN_A_ARGV,       SPAWN_A_CWD,          SPAWN_A_ENV,
        SPAWN_A_UMASK,      SPAWN_A_USER,         SPAWN_A_GROUP,
        SPAWN_A_STDIN_DATA, SPAWN_A_FDS,          SPAWN_A_NICE,
        SPAWN_A_IONICE,     SPAWN_A_LIMITS,       SPAWN_A_NO_NEW_PRIVS,
        SPAWN_A_LEFTOVERS,  SPAWN_A_CAPTURE_LIMIT};
    size_t i;

    if (!q->pool || q->pool->max == 0)
        return false;
    for (i = 0; i < sizeof(of_its_own); i++) {
        if (spawn_has(m, of_its_own[i]))
            return false;
    }
    return is_theirs(q, m, SPAWN_A_STDIN) && is_theirs(q, m, SPAWN_A_STDOUT)
           && is_theirs(q, m, SPAWN_A_STDERR)
           && strcmp(spawn_str_or(m, SPAWN_A_TEMPLATE, q->template->name),
                     q->template->name)
                  == 0;
}

bool spawn_pool_takes(const spawn_pool *pool)
{
    return pool->idle > 0;
}

const char *spawn_pool_failure(const spawn_pool *pool)
{
    const char *why = spawn_template_failure(pool->queue->template);

    if (why)
        return why;
    return pool->alive == 0 ? pool->failure : NULL;
}

void spawn_pool_failed(spawn_pool *pool, const char *text)
{
    int seconds = spawn_backoff_s(++pool->failures);

    free(pool->failure);
    pool->failure = spawn_strdup(text);
    spawn_timer_set(&pool->retry, spawn_mono_ms() + seconds * 1000);
    spawn_log_few(
        spawn_log_about("queue", pool->queue->name), SPAWN_LOG_FEW,
        SPAWN_LOG_ERR,
        MSNO(0610) "no worker of queue %s could get ready; another try "
                   "follows in %d s: %s",
        pool->queue->name, seconds, text);
}

/* Was it started by other rules, or forked from another process than takes
 * orders now? */
static bool is_stale(const spawn_worker *w)
{
    const spawn_template_process *current = w->pool->queue->template->current;

    return w->rules != w->pool->rules
           || (current && !spawn_id_equal(&w->template_id, &current->id));
}

void spawn_pool_dismiss_stale(const spawn_pool *pool)
{
    spawn_worker *w;

    for (w = pool->workers; w; w = w->pool_next) {
        if (w->state != SPAWN_WORKER_LEAVING && !w->retire
            && (is_stale(w) || pool->max == 0 || !pool->queue->configured))
            spawn_pool_dismiss(w);
    }
}

void spawn_pools_ruled(void)
{
    spawn_queue *q;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (!q->pool)
            continue;
        q->pool->rules = spawn_worker_rules(q->pool);
        spawn_pool_dismiss_stale(q->pool);
    }
}

/* Calls of workers that are lent pass no scheduler: so many of these workers
 * are asked for as could run more calls than the queue may, or take calls that
 * it takes no more. */
static unsigned lent_too_many(const spawn_pool *pool)
{
    const spawn_queue *q = pool->queue;
    uint64_t room = q->busy < q->max_jobs ? q->max_jobs - q->busy : 0;

    if (q->control.mode != SPAWN_QUEUE_OPEN || q->allowed)
        return pool->lent;
    return pool->lent > room ? pool->lent - (unsigned)room : 0;
}

void spawn_pool_consider(spawn_pool *pool, unsigned waiting)
{
    const spawn_template *t = pool->queue->template;
    spawn_failure why;

    spawn_leases_end_some(pool, lent_too_many(pool));
    while (pool->queue->configured && !pool->retry.place
           && pool->alive < pool->max
           && (pool->alive < pool->min || waiting > pool->idle + pool->coming)
           && spawn_template_takes(t)) {
        spawn_worker *w = spawn_worker_order(pool, &why);

        if (w)
            count(w, +1);
        else
            spawn_pool_failed(pool, why.text);
    }
    if (waiting > pool->idle + pool->coming)
        spawn_leases_end_some(pool, waiting - pool->idle - pool->coming);
    else if (pool->queue->queued > 0 && spawn_queue_taken(pool->queue))
        spawn_leases_end_some(pool, pool->queue->queued);
}

/* The worker that was used last: its memory is warm, and the others become old
 * enough to leave. */
static spawn_worker *pick(const spawn_pool *pool)
{
    spawn_worker *w, *best = NULL;

    for (w = pool->workers; w; w = w->pool_next) {
        if (w->state == SPAWN_WORKER_IDLE
            && (!best || w->idle_since > best->idle_since))
            best = w;
    }
    return best;
}

void spawn_pool_attach(spawn_worker *w, spawn_job *job)
{
    become(w, SPAWN_WORKER_BUSY);
    w->job = job;
    job->perl->worker = w;
}

void spawn_pool_reserve(spawn_job *job)
{
    spawn_pool_attach(pick(job->queue->pool), job);
}

/* True when its worker can have another call. */
static bool detach(spawn_job *job)
{
    spawn_worker *w = job->perl ? job->perl->worker : NULL;

    if (!w)
        return false;
    job->perl->worker = NULL;
    w->job = NULL;
    if (w->state != SPAWN_WORKER_BUSY || w->lent)
        return false;
    spawn_pool_nothing_to_do(w);
    return true;
}

void spawn_pool_release(spawn_job *job)
{
    const spawn_worker *w = job->perl ? job->perl->worker : NULL;

    /* a call waits for it, or another worker has to take its place */
    if (detach(job) && (job->queue->queued || w->state == SPAWN_WORKER_LEAVING))
        spawn_loop_again();
}

void spawn_pool_unreserve(spawn_job *job)
{
    (void)detach(job);
}
