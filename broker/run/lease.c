/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are lent to callers. Runs in the broker, which learns from their
 * slates what they run and have run. Must not believe a slate: code of users
 * writes there. Must not let a call run twice: what a slate says is looked at
 * before an id counts as new.
 */
#include "broker/run/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_slate.h"
#include "broker/base/alloc.h"
#include "broker/base/logs.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/ticket.h"
#include "broker/store/commit.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"
#include "broker/run/end.h"
#include "broker/run/report.h"

#define LOOK_EVERY  20   /* ms */
#define UNUSED_ENDS 100  /* ms without a call */
#define PAUSE       100  /* ms without new leases, when one was asked for */
#define TIMEOUT_MIN 1000 /* ms: time-outs are noticed some ms later */
#define GONE_NOTED  1024

static spawn_batch *batch;
static spawn_timer look_timer;

/* Workers that could be lent, and have gone: what they had run is known. A
 * caller that was lent one sees its end at once, and asks. */
static spawn_id gone[GONE_NOTED];
static unsigned gone_count;

static void look_at_all(spawn_timer *t);

void spawn_leases_open(spawn_batch *its_batch)
{
    batch = its_batch;
    look_timer.fire = look_at_all;
}

/* ---- from a slate to jobs ---- */

/* Nothing has begun or ended in the future. */
static void clean_times(spawn_slate_call *call)
{
    int64_t now = spawn_wall_ms(), mono_us = spawn_mono_us();

    if (call->started_at < 0 || call->started_at > now)
        call->started_at = now;
    if (call->ended_at < call->started_at || call->ended_at > now)
        call->ended_at = now;
    if (call->mono_us < 0 || call->mono_us > mono_us)
        call->mono_us = mono_us;
    if (call->elapsed_us < 0 || call->elapsed_us > mono_us)
        call->elapsed_us = 0;
}

/* Is it a call of this worker's queue, and new? -EAGAIN: the store cannot tell
 * now. */
static int is_good(const spawn_worker *w, const spawn_slate_call *call,
                   spawn_message *m)
{
    int rv;

    spawn_known known;
    spawn_id id;

    if (!spawn_id_valid(&call->id)
        || spawn_body_parse(call->order, call->length, SPAWN_M_SUBMIT, 0, m,
                            NULL)
               < 0
        || !spawn_has(m, SPAWN_A_FUNCTION))
        return 0;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_id_equal(&id, &call->id)
        || strcmp(spawn_str_or(m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE),
                  w->pool->queue->name)
               != 0
        || spawn_job_find(&id))
        return 0;
    if (spawn_recent_is_new(batch->store, &id))
        return 1;
    rv = spawn_store_find(batch->store, &id, &known);
    return rv < 0 ? -EAGAIN : rv == 0;
}

/* 1; 0: it is none, or known; -EAGAIN: that cannot be told now. */
static int make_job(spawn_worker *w, spawn_slate_call *call, spawn_message *m,
                    spawn_job **ret)
{
    int rv = is_good(w, call, m);
    spawn_body *body;
    spawn_job *job;

    if (rv <= 0)
        return rv;
    clean_times(call);
    body = spawn_body_new(call->order, call->length);
    if (!body)
        return -EAGAIN;
    job = spawn_job_new(batch, &call->id);
    job->body = body;
    job->digest = call->digest;
    job->may_run_unstored = job->launched = true;
    job->submitted_at = job->started_at = call->started_at;
    job->caller_uid = w->caller_uid;
    job->caller_pid = w->caller_pid;
    job->pid = w->pid;
    job->boot_started = w->boot_started;
    job->mono_started = call->mono_us / 1000;
    spawn_queue_join(job, w->pool->queue->name);
    spawn_perl_make(job, NULL);
    job->perl->mono_us = call->mono_us;
    job->perl->pooled = true;
    w->calls++;
    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    *ret = job;
    return 1;
}

/* For the broker that follows a killed one. */
static void put_ticket(const spawn_worker *w, const spawn_job *job)
{
    const spawn_ticket_call call = {.id = job->id,
                                    .digest = job->digest,
                                    .submitted_at = job->submitted_at,
                                    .started_at = job->started_at,
                                    .mono_started = job->mono_started,
                                    .caller_pid = job->caller_pid,
                                    .caller_uid = job->caller_uid,
                                    .attempt = 1};

    spawn_ticket_clear(w->ticket);
    spawn_ticket_put(w->ticket, &call, job->body);
}

/* Among what runs its job counts, or nothing does. */
static void count_no_more(spawn_worker *w)
{
    w->pool->lent -= w->lent_counted;
    w->lent_counted = false;
}

static bool has_unended(const spawn_worker *w)
{
    return w->job && w->job->state != SPAWN_STATE_DONE;
}

/* Ticket and board have it until it is stored, or told: the worker gets no
 * other call before. One that has ended there is that which the lease came
 * with; its caller has the answer. */
static void joins(spawn_worker *w, spawn_job *job)
{
    if (w->job)
        w->job->perl->worker = NULL;
    w->job = job;
    job->perl->worker = w;
    count_no_more(w);
    put_ticket(w, job);
}

bool spawn_lease_may_end(void)
{
    return spawn_store_is_open(batch->store);
}

static spawn_end *end_as_noted(spawn_job *job, const spawn_slate_call *call,
                               spawn_returned *kept)
{
    spawn_end *end;

    job->perl->kept = kept;
    end = spawn_end_job(job, SPAWN_OUTCOME_EXITED);
    end->exit_code = kept->kind == SPAWN_RESULT_RETURNED ? 0 : 255;
    end->ended_at = call->ended_at;
    end->elapsed_us = call->elapsed_us;
    end->rusage_count = SPAWN_RU_COUNT;
    memcpy(end->rusage, call->usage, sizeof(call->usage));
    return end;
}

/* It became a job while it ran, and its worker is held since: it is the last
 * one of the slate. Its caller has the answer, and may ask before GIVEN_BACK
 * has come. */
static void end_its_job(spawn_worker *w, const spawn_slate *slate)
{
    char who[SPAWN_WHO];
    spawn_slate_call call;
    spawn_end *end;

    if (!w->job || w->job->state != SPAWN_STATE_RUNNING || slate->ended == 0
        || spawn_slate_get(w->board, slate->ended, &call) < 0
        || !spawn_id_equal(&w->job->id, &call.id))
        return;
    clean_times(&call);
    spawn_output_rename(w->streams, spawn_worker_who(w, who));
    end = end_as_noted(w->job, &call, spawn_returned_take(w->board));
    if (w->job->perl->kept->kind > SPAWN_RESULT_NONE)
        return;
    spawn_end_say(end, "its worker returned nothing that can be read");
    w->retire = true;
}

/* The result is left out when its caller has it; else the board has it, and the
 * worker is held: its caller may ask, before or after the commit. False: the
 * store cannot tell whether it is known. */
static bool record(spawn_worker *w, const spawn_slate *slate, uint64_t n)
{
    bool answered = n < slate->ended || slate->answered == n;
    spawn_slate_call call;
    spawn_returned *kept;
    spawn_message m;
    spawn_job *job;
    int rv;

    if (spawn_slate_get(w->board, n, &call) < 0
        || (w->job && spawn_id_equal(&w->job->id, &call.id)))
        return true;
    rv = make_job(w, &call, &m, &job);
    if (rv <= 0)
        return rv == 0;
    if (answered) {
        kept = spawn_alloc(sizeof(*kept));
        kept->kind =
            call.kind <= SPAWN_RESULT_DIED ? (int)call.kind : SPAWN_RESULT_NONE;
    }
    else {
        kept = spawn_returned_take(w->board);
    }
    (void)end_as_noted(job, &call, kept);
    job->told = job->delivered = answered;
    if (answered) /* the slate says no more that it has run */
        spawn_unrecorded_keep(job);
    if (!answered && !has_unended(w))
        joins(w, job);
    return true;
}

/* ret->read: up to which call. The caller of the last one may not have been
 * answered yet; that one is left for the next look while the lease goes on.
 * marked: it is not for a broker after us. -EAGAIN: the store could not tell of
 * all. */
static int look_so(spawn_worker *w, spawn_slate *ret, bool marked)
{
    uint64_t read, until;

    if (!spawn_lease_may_end())
        return -EAGAIN;
    if (spawn_slate_look(w->board, ret) < 0)
        return -EBADMSG;
    end_its_job(w, ret);
    until = ret->ended;
    if (w->lent == SPAWN_LENT && until > ret->read && ret->answered != until)
        until--;
    for (read = ret->read; read != until && record(w, ret, read + 1); read++)
        ;
    if (read != ret->read) {
        if (marked)
            (void)spawn_slate_set_read(w->board, read);
        w->lent_used = spawn_mono_ms();
        spawn_loop_again();
    }
    ret->read = read;
    return read == until ? 0 : -EAGAIN;
}

static int look(spawn_worker *w, spawn_slate *ret)
{
    return look_so(w, ret, true);
}

static bool runs(const spawn_slate *slate)
{
    return slate->running == slate->ended + 1;
}

/* From now on it is a job like others: a caller that asks for it finds it, its
 * time runs out, it can be killed; its lines are read. -EAGAIN: the store
 * cannot tell whether it is one. */
static int take_up(spawn_worker *w, const spawn_slate *slate)
{
    spawn_slate_call call;
    char who[SPAWN_WHO];
    spawn_whose whose;
    spawn_message m;
    spawn_job *job;
    int rv;

    if (has_unended(w) || !runs(slate)
        || spawn_slate_get(w->board, slate->running, &call) < 0)
        return 0;
    rv = make_job(w, &call, &m, &job);
    if (rv <= 0)
        return rv;
    joins(w, job);
    spawn_timer_clear(&w->deadline); /* the job has one */
    spawn_queue_limits(job, &m);
    spawn_output_go_on(w->streams, spawn_output_who(&job->id, who));
    spawn_logs_whose(&m, &whose);
    spawn_output_belongs(w->streams, &whose);
    spawn_end_arm(job, spawn_mono_ms() - job->mono_started);
    spawn_job_changed(job);
    spawn_report_start(job);
    spawn_end_at_stop(job);
    spawn_loop_again();
    return 0;
}

/* ---- the life of a lease ---- */

static void keep_looking(void)
{
    if (!look_timer.place)
        spawn_timer_set(&look_timer, spawn_mono_ms() + LOOK_EVERY);
}

bool spawn_lease_may(const spawn_job *job)
{
    const spawn_queue *q = job->queue;
    const spawn_worker *w = job->perl ? job->perl->worker : NULL;

    return w && w->lent == SPAWN_LENT_NOT && w->state == SPAWN_WORKER_BUSY
           && !w->retire && !w->unparented && w->link.fd >= 0
           && spawn_phase_launching() && q->configured && q->queued == 0
           && q->control.mode == SPAWN_QUEUE_OPEN
           && !q->allowed /* these calls would not be looked at */
           && q->busy + q->pool->lent < q->max_jobs
           && (q->timeout_ms == 0 || q->timeout_ms >= TIMEOUT_MIN)
           && spawn_mono_ms() >= q->pool->lend_not_before
           && !spawn_commit_failing(batch->store) && w->lendable
           && spawn_slate_there(w->board);
}

void spawn_lease_begin(spawn_worker *w, pid_t caller_pid, uid_t caller_uid,
                       int direct)
{
    spawn_ticket_clear(w->ticket);
    if (++w->lease == 0)
        w->lease = 1;
    if (spawn_slate_begin(w->board, w->lease, caller_pid, caller_uid) < 0
        || spawn_worker_lend(w, direct) < 0) {
        (void)spawn_slate_finish(w->board);
        spawn_close_fds(&direct, 1);
        return;
    }
    spawn_worker_set_lent(w, SPAWN_LENT);
    w->unfinished = false;
    w->direct = direct;
    w->caller_pid = caller_pid;
    w->caller_uid = caller_uid;
    w->seen = 0;
    w->lent_used = spawn_mono_ms();
    w->lent_counted = true;
    w->pool->lent++;
    spawn_output_pause(w->streams);
    keep_looking();
}

/* The calls that it runs and has run become jobs. */
static int see(spawn_worker *w)
{
    spawn_slate slate;
    int rv = look(w, &slate);

    return rv == 0 ? take_up(w, &slate) : rv;
}

void spawn_lease_end(spawn_worker *w)
{
    if (w->lent != SPAWN_LENT || !spawn_lease_may_end())
        return;
    spawn_worker_set_lent(w, SPAWN_LENT_ENDING);
    (void)spawn_slate_hold(w->board);
    if (w->job) /* a killed broker had taken it up */
        count_no_more(w);
    (void)see(w);
    spawn_worker_take_back(w);
    keep_looking();
}

/* Its call is a job when this returns, or has not begun. False: the store could
 * not tell whether it is one. */
static bool settle(spawn_worker *w)
{
    spawn_lease_end(w);
    return !w->lent || see(w) != -EAGAIN;
}

void spawn_leases_end_some(const spawn_pool *pool, unsigned count)
{
    spawn_worker *w;

    for (w = pool->workers; w && count > 0; w = w->pool_next)
        count -=
            w->lent == SPAWN_LENT_ENDING && !has_unended(w); /* comes soon */
    for (w = pool->workers; w && count > 0; w = w->pool_next) {
        if (w->lent != SPAWN_LENT)
            continue;
        w->pool->lend_not_before = spawn_mono_ms() + PAUSE;
        spawn_lease_end(w);
        count--;
    }
}

void spawn_lease_read(spawn_worker *w)
{
    spawn_slate unused;

    (void)look(w, &unused);
}

/* has_gone: a broker that comes before all of it is stored, or told, reads the
 * slate once more. last_run: the call that the worker ran last. One that was
 * noted later has not begun. It is on the ticket: without its lease a broker
 * after us would take it for a call of ours, and send it. So the lease stays on
 * the slate until the worker has another call. -EAGAIN: the store could not
 * tell of all, and one that lives is lent on.
 * ret_ended: its job has ended. */
static int over(spawn_worker *w, bool has_gone, const spawn_id *last_run,
                bool *ret_ended)
{
    spawn_slate slate = {.ended = 0};
    char who[SPAWN_WHO];
    spawn_slate_call last;
    int rv;

    *ret_ended = false;
    if (!w->lent)
        return 0;
    spawn_worker_set_lent(w, SPAWN_LENT_ENDING);
    rv = look_so(w, &slate, !has_gone);
    if (rv == -EAGAIN && !has_gone)
        return rv;
    if (rv == 0)
        rv = take_up(w, &slate);
    else if (rv == -EAGAIN) /* whether its job has ended stands there */
        (void)spawn_slate_look(w->board, &slate);
    /* it wrote its output in its last call */
    if (slate.ended && spawn_slate_get(w->board, slate.ended, &last) == 0) {
        spawn_output_go_on(w->streams, spawn_output_who(&last.id, who));
        *ret_ended = w->job && spawn_id_equal(&last.id, &w->job->id);
    }
    spawn_worker_set_lent(w, SPAWN_LENT_NOT);
    count_no_more(w);
    spawn_timer_clear(&w->deadline);
    w->unfinished = !has_gone && w->job && w->job->state == SPAWN_STATE_RUNNING
                    && !(last_run && spawn_id_equal(last_run, &w->job->id));
    if (!has_gone && !w->unfinished)
        (void)spawn_slate_finish(w->board);
    spawn_output_go_on(w->streams, spawn_worker_who(w, who));
    /* a process that it has left behind may hold the other end */
    if (w->direct >= 0)
        (void)shutdown(w->direct, SHUT_RDWR);
    spawn_close_fds(&w->direct, 1);
    return rv;
}

bool spawn_lease_over(spawn_worker *w, const spawn_id *last_run)
{
    bool unused;

    return over(w, false, last_run, &unused) != -EAGAIN;
}

bool spawn_lease_gone(spawn_worker *w)
{
    bool ended;
    int rv = over(w, true, NULL, &ended);

    if (w->lendable && rv != -EAGAIN)
        gone[gone_count++ % GONE_NOTED] = w->id;
    return ended;
}

/* ---- looks ---- */

/* A call has its time-out. A worker that runs none gives itself back at once,
 * or is stopped, or does not want to: its callers would wait for ever. */
static void must_come(spawn_worker *w)
{
    if (w->lent == SPAWN_LENT_ENDING && !has_unended(w) && !w->deadline.place)
        spawn_worker_overdue(w);
}

/* A call that has run since the last look is a job from now on; so is one that
 * has begun while its lease ended. */
static void look_at(spawn_worker *w)
{
    spawn_slate slate;
    uint64_t running;

    if (look(w, &slate) < 0) {
        (void)settle(w);
        must_come(w);
        return;
    }
    running = runs(&slate) ? slate.running : 0;
    if (w->lent == SPAWN_LENT_ENDING || (running && running == w->seen)
        || (!running && spawn_mono_ms() - w->lent_used >= UNUSED_ENDS))
        (void)settle(w);
    w->seen = running;
    must_come(w);
}

static void look_at_all(spawn_timer *t)
{
    spawn_worker *w, *next;

    (void)t;
    for (w = spawn_worker_next_lent(NULL); w; w = next) {
        next = spawn_worker_next_lent(w);
        look_at(w);
    }
    if (spawn_worker_next_lent(NULL))
        keep_looking();
}

/* Does it run this call, or has run it last (NULL: run any)? */
static bool has(spawn_worker *w, const spawn_id *id)
{
    spawn_slate_call call;
    spawn_slate slate;

    if (look(w, &slate) < 0)
        return true;
    if (!runs(&slate) && slate.read == slate.ended)
        return false;
    return !id
           || (spawn_slate_get(w->board, slate.read + 1, &call) == 0
               && spawn_id_equal(&call.id, id))
           || (spawn_slate_get(w->board, slate.ended + 1, &call) == 0
               && spawn_id_equal(&call.id, id));
}

static void look_at_job(const spawn_job *job)
{
    spawn_worker *w = job->perl ? job->perl->worker : NULL;

    if (w && w->lent)
        spawn_lease_read(w);
}

void spawn_leases_look(const spawn_id *id)
{
    const spawn_job *job = id ? spawn_job_find(id) : NULL;
    spawn_worker *w, *next;

    if (!look_timer.place)
        return;
    if (job) {
        look_at_job(job);
        return;
    }
    for (w = spawn_worker_next_lent(NULL); w; w = next) {
        next = spawn_worker_next_lent(w);
        if (has(w, id))
            (void)settle(w);
    }
}

void spawn_leases_look_last(void)
{
    spawn_worker *w;

    for (w = spawn_worker_next_lent(NULL); w; w = spawn_worker_next_lent(w)) {
        spawn_worker_set_lent(w, SPAWN_LENT_ENDING);
        (void)spawn_slate_hold(w->board);
        spawn_lease_read(w);
    }
}

bool spawn_lease_lost(const spawn_id *worker)
{
    spawn_worker *w = spawn_worker_find(worker);
    unsigned i;

    if (w)
        return settle(w);
    for (i = 0; i < GONE_NOTED; i++) {
        if (spawn_id_equal(&gone[i], worker))
            return true;
    }
    return false;
}
