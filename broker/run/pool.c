/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools: which worker is forked when, which call it gets, and what came of
 * that. Runs in the broker. Must not give a worker another call before the
 * ticket of the last one may go.
 *
 * A worker belongs to the process of the template that it was forked from: when
 * another process takes the template's place (a restart of httpd, its age), the
 * worker ends after its call, and new code serves the next call. It belongs to
 * the rules of its queue, too: by others it does not get another call.
 */
#include "broker/run/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "broker/base/alloc.h"
#include "broker/base/backoff.h"
#include "broker/base/logs.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/defaults.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/ticket.h"
#include "broker/process/worker.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/report.h"

#define UNREAD_MAX 10 /* workers in a row that did not read a call */

/* ---- rules ---- */

static void forgive(spawn_pool *pool)
{
    free(pool->failure);
    pool->failure = NULL;
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
    pool->failures = 0;
    forgive(pool);
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

/* It has nothing to do. */
static void has_nothing(spawn_worker *w)
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

static void failed(spawn_pool *pool, const char *text)
{
    int seconds = spawn_backoff_s(++pool->failures);

    free(pool->failure);
    pool->failure = spawn_strdup(text);
    spawn_timer_set(&pool->retry, spawn_mono_ms() + seconds * 1000);
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0610) "no worker of queue %s could get ready; another try "
                         "follows in %d s: %s",
              pool->queue->name, seconds, text);
}

/* Was it started by other rules, or forked from another process than takes
 * orders now? */
static bool is_stale(const spawn_worker *w)
{
    const spawn_instance *current = w->pool->queue->template->current;

    return w->rules != w->pool->rules
           || (current && !spawn_id_equal(&w->template_id, &current->id));
}

static void dismiss_stale(const spawn_pool *pool)
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
        dismiss_stale(q->pool); /* before one of them gets the next call */
    }
}

/* Calls of workers that are lent pass no scheduler: so many of these workers
 * are asked for as could run more calls than the queue may, or take calls that
 * it takes no more. */
static unsigned lent_too_many(const spawn_pool *pool)
{
    const spawn_queue *q = pool->queue;
    uint64_t room = q->busy < q->max_jobs ? q->max_jobs - q->busy : 0;

    if (q->control.mode != SPAWN_QUEUE_OPEN)
        return pool->lent;
    return pool->lent > room ? pool->lent - (unsigned)room : 0;
}

void spawn_pool_consider(spawn_pool *pool, unsigned waiting)
{
    const spawn_template *t = pool->queue->template;
    spawn_failure why;

    dismiss_stale(pool);
    spawn_leases_end_some(pool, lent_too_many(pool));
    while (pool->queue->configured && !pool->retry.place
           && pool->alive < pool->max
           && (pool->alive < pool->min || waiting > pool->idle + pool->coming)
           && spawn_template_takes(t)) {
        spawn_worker *w = spawn_worker_order(pool, &why);

        if (w)
            count(w, +1);
        else
            failed(pool, why.text);
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
    has_nothing(w);
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

/* ---- calls ---- */

static void runs(spawn_job *job, const spawn_worker *w)
{
    job->pid = w->pid;
    job->boot_started = w->boot_started;
    spawn_job_on(job, SPAWN_JOB_BEGAN);
    spawn_end_arm(job, 0);
    spawn_job_changed(job);
    if (!spawn_job_unstored(job))
        spawn_loop_again(); /* the turn's commit was before this */
    spawn_report_start(job);
    spawn_end_at_stop(job);
}

/* Requeue a call whose worker died or never took it, at its old position. */
static void wait_again(spawn_job *job)
{
    spawn_worker *w = job->perl->worker;

    spawn_timer_clear(&job->timer);
    job->perl->worker = NULL;
    w->job = NULL;
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_job_came_back(job);
    spawn_loop_again();
}

int spawn_pool_call(spawn_job *job, const spawn_body *body, spawn_failure *why)
{
    spawn_worker *w = job->perl->worker;
    char who[SPAWN_WHO];
    spawn_whose whose;
    spawn_message m;
    int rv;

    if (spawn_body_read(job, body, &m, why))
        return -1;
    spawn_queue_limits(job, &m);
    job->started_at = spawn_wall_ms();
    job->perl->mono_us = spawn_mono_us();
    job->mono_started = job->perl->mono_us / 1000;
    /* before it can say anything */
    spawn_output_rename(w->streams, spawn_output_who(&job->id, who));
    spawn_logs_whose(&m, &whose);
    spawn_output_belongs(w->streams, &whose);
    if (w->state == SPAWN_WORKER_BUSY)
        rv = spawn_worker_send(w, job, &m, body);
    else
        rv = -EPIPE;
    if (rv == -EPIPE) {
        wait_again(job);
        w->retire = true; /* its end is on its way */
        if (w->state == SPAWN_WORKER_BUSY)
            has_nothing(w);
        return 0;
    }
    if (rv < 0) {
        w->retire = true; /* the next call might fare no better */
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_ORDER, -rv,
                          "the call could not be sent: %s", strerror(-rv));
        return -1;
    }
    w->calls++;
    runs(job, w);
    return 0;
}

/* Take the result from the board; false: there is none. */
static bool take_result(spawn_job *job, const spawn_worker *w)
{
    job->perl->kept = spawn_returned_take(w->board);
    return job->perl->kept->kind > SPAWN_RESULT_NONE;
}

static void worker_begins(spawn_worker *w);

static spawn_end *end_call(spawn_job *job)
{
    int64_t began = job->perl->mono_us;
    spawn_end *end = spawn_end_job(job, SPAWN_OUTCOME_EXITED);

    if (began)
        end->elapsed_us = spawn_mono_us() - began;
    return end;
}

static void worker_ready(spawn_worker *w, const spawn_message *m)
{
    spawn_pool *pool = w->pool;

    if (w->state == SPAWN_WORKER_LEAVING || w->served)
        return;
    if (spawn_u64_or(m, SPAWN_A_CODE, SPAWN_E_OK) != SPAWN_E_OK) {
        spawn_pool_dismiss(w);
        w->served = w->expected = true; /* it has said that it is ready */
        failed(pool, spawn_str_or(m, SPAWN_A_TEXT, "no reason was told"));
        return;
    }
    w->ready = true;
    w->lendable = m->header.seq == SPAWN_SLATE_FORM;
    pool->failures = 0;
    forgive(pool);
    worker_begins(w);
}

/* Its own RETURNED is often here before the spawner's STARTED, which has its
 * process id. */
static void worker_begins(spawn_worker *w)
{
    if (!w->ready || w->served || !w->pid || w->state != SPAWN_WORKER_COMING)
        return;
    w->served = true;
    spawn_ticket_ready(w->ticket, w->lendable);
    has_nothing(w);
}

/* m: NULL when no message told it. */
static void returned(spawn_worker *w, const spawn_message *m)
{
    spawn_job *job = w->job;
    char who[SPAWN_WHO];
    spawn_end *end;
    bool whole;

    spawn_output_rename(w->streams, spawn_worker_who(w, who));
    whole = take_result(job, w);
    end = end_call(job);
    if (whole)
        end->exit_code =
            job->perl->kept->kind == SPAWN_RESULT_RETURNED ? 0 : 255;
    else
        spawn_end_say(end, "its worker returned nothing that can be read");
    if (m)
        spawn_end_usage(end, m);
    w->retire |= !whole || (m && spawn_u64_or(m, SPAWN_A_LAST, 0) != 0);
}

static void worker_returned(spawn_worker *w, const spawn_id *id,
                            const spawn_message *m)
{
    /* after a broker was killed a call may be told twice */
    if (w->job && spawn_id_equal(&w->job->id, id)
        && w->job->state == SPAWN_STATE_RUNNING)
        returned(w, m);
    else if (spawn_u64_or(m, SPAWN_A_LAST, 0))
        spawn_pool_dismiss(w);
}

/* Its last call may have become a job. */
static void worker_given_back(spawn_worker *w, const spawn_message *m)
{
    spawn_job *job;
    char who[SPAWN_WHO];
    spawn_id id;

    spawn_lease_over(w);
    job = w->job;
    w->retire |= spawn_u64_or(m, SPAWN_A_LAST, 0) != 0;
    if (!job) {
        spawn_output_rename(w->streams, spawn_worker_who(w, who));
        has_nothing(w);
        spawn_loop_again();
        return;
    }
    if (job->state != SPAWN_STATE_RUNNING)
        return;
    if (spawn_has(m, SPAWN_A_ID)) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
        if (spawn_id_equal(&id, &job->id)) {
            returned(w, m);
            return;
        }
    }
    /* its caller went in the moment in which it would have begun */
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_LOST),
                  "its caller had gone, and it was not begun");
}

void spawn_pool_found_idle(spawn_worker *w)
{
    has_nothing(w);
}

/* Its RETURNED may be on its way, and would be taken for that of another
 * attempt at the same call. */
void spawn_pool_found_returned(spawn_worker *w)
{
    w->retire |= w->job->retries > 0;
    returned(w, NULL);
}

/* ---- ends of workers ---- */

static bool is_wanted(const spawn_job *job)
{
    return !job->cancel && !job->timed_out && !job->terminated;
}

/* How long the call ran until its worker ended (mono us): its news may have
 * waited for a broker. The spawner counts from the worker's start. */
static int64_t ran_us(const spawn_worker *w, const spawn_job *job,
                      const spawn_message *m)
{
    int64_t began = job->mono_started * 1000, ended = spawn_mono_us(), told;

    if (m && spawn_has(m, SPAWN_A_ELAPSED)) {
        told = (w->mono_started + 1) * 1000 /* it was cut to ms */
               + (int64_t)spawn_attr_u64(&m->attr[SPAWN_A_ELAPSED]);
        ended = told < ended ? told : ended;
    }
    return ended > began ? ended - began : 0;
}

static void end_with(const spawn_worker *w, spawn_job *job,
                     const spawn_message *m)
{
    int64_t ran = ran_us(w, job, m);
    spawn_end *end = end_call(job);

    if (end->elapsed_us > ran)
        end->elapsed_us = ran;
    if (m && spawn_has(m, SPAWN_A_WAIT_STATUS)) {
        spawn_end_status(job, end,
                         (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]));
    }
    else {
        end->outcome =
            job->timed_out ? SPAWN_OUTCOME_TIMED_OUT : SPAWN_OUTCOME_ENDED;
        spawn_end_say(end, "its worker ended, and nobody could tell how");
    }
}

/* Its worker was to leave, which the broker that knew that has told nobody; or
 * was killed. When that befalls one after the other, it is no accident. */
static void not_begun(spawn_job *job)
{
    if (++job->perl->unread < UNREAD_MAX) {
        wait_again(job);
        return;
    }
    spawn_end_start_failed(job, SPAWN_STEP_TEMPLATE, 0,
                           "workers get ready and end before they have read "
                           "it, time and again");
    spawn_pool_release(job);
}

static bool was_signalled(const spawn_message *m)
{
    return m && spawn_has(m, SPAWN_A_WAIT_STATUS)
           && WIFSIGNALED((int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]));
}

/* The call that it had, and no other, ends with it. */
static void job_lost(spawn_worker *w, const spawn_message *m)
{
    spawn_job *job = w->job;

    if (job->state != SPAWN_STATE_RUNNING) { /* it was only reserved */
        if (job->state == SPAWN_STATE_STARTING)
            wait_again(job);
        else
            spawn_pool_release(job);
        return;
    }
    if (m && spawn_has(m, SPAWN_A_WAIT_STATUS))
        spawn_end_overdue(job,
                          (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]),
                          ran_us(w, job, m));
    if (spawn_worker_never_began(w) && is_wanted(job)) {
        not_begun(job);
        return;
    }
    if (spawn_worker_never_began(w) && !was_signalled(m)) {
        /* how the worker ended says nothing of it */
        (void)spawn_end_job(job, job->timed_out ? SPAWN_OUTCOME_TIMED_OUT
                                                : SPAWN_OUTCOME_CANCELLED);
        spawn_pool_release(job);
        return;
    }
    /* a worker that closed its link may have returned all the same */
    job->perl->worker_died = !take_result(job, w);
    end_with(w, job, m);
    spawn_pool_release(job);
}

static void worker_gone(spawn_worker *w, const spawn_message *m);

static void worker_silent(spawn_worker *w)
{
    if (w->unparented)
        worker_gone(w, NULL);
    else if (w->state == SPAWN_WORKER_IDLE)
        spawn_pool_dismiss(w);
    else if (w->state == SPAWN_WORKER_COMING)
        spawn_worker_overdue(w); /* it can no longer say that it is ready */
}

static void worker_gone(spawn_worker *w, const spawn_message *m)
{
    int status = m ? (int)spawn_u64_or(m, SPAWN_A_WAIT_STATUS, 0) : 0;
    bool told_to = w->state == SPAWN_WORKER_LEAVING || w->retire;
    spawn_pool *pool = w->pool;
    char how[160];

    spawn_lease_gone(w);
    become(w, SPAWN_WORKER_LEAVING);
    spawn_output_finish(w->streams); /* its last words come before the news */
    if (w->job)
        job_lost(w, m);
    if (m)
        spawn_end_describe(m, how, sizeof(how));
    if (m && !w->served && !told_to) {
        failed(pool, how);
    }
    else if (m && !w->expected && (!told_to || status != 0)) {
        spawn_log_few(
            spawn_log_about("queue", pool->queue->name), SPAWN_LOG_FEW,
            SPAWN_LOG_WARN,
            MSNO(0613) "a worker of queue %s (pid %d) has gone: %s; only "
                       "the call that it had fails",
            pool->queue->name, (int)w->pid, how);
    }
    /* not before the end of its call is stored (or told) */
    spawn_link_forget(&w->id);
    spawn_worker_free(w);
    spawn_loop_again();
}

static const spawn_worker_events events = {.ready = worker_ready,
                                           .known = worker_begins,
                                           .returned = worker_returned,
                                           .slate = spawn_lease_read,
                                           .given_back = worker_given_back,
                                           .silent = worker_silent,
                                           .unparented = spawn_pool_dismiss,
                                           .gone = worker_gone};

void spawn_pools_open(void)
{
    spawn_workers_open(&events);
}
