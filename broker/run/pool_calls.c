/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of workers: how one is sent, what came of it, and what a worker's
 * end means for the call that it had. Runs in the broker. Must not end a call
 * whose worker never read it: such a call waits again.
 */
#include "broker/run/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "broker/base/logs.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/ticket.h"
#include "broker/process/worker.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/report.h"

#define UNREAD_MAX 10 /* workers in a row that did not read a call */

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
            spawn_pool_nothing_to_do(w);
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
        spawn_pool_failed(pool,
                          spawn_str_or(m, SPAWN_A_TEXT, "no reason was told"));
        return;
    }
    w->ready = true;
    w->lendable = m->header.seq == SPAWN_SLATE_FORM;
    spawn_pool_works(pool);
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
    spawn_pool_nothing_to_do(w);
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

/* Its last call may have become a job. Too early for that, it is asked to give
 * itself back by recovery, and says this again. */
static void worker_given_back(spawn_worker *w, const spawn_message *m)
{
    bool ran = spawn_has(m, SPAWN_A_ID);
    spawn_job *job;
    char who[SPAWN_WHO];
    spawn_id id;

    if (!spawn_lease_may_end())
        return;
    if (ran)
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_lease_over(w, ran ? &id : NULL))
        return; /* it is overdue then, and has to go */
    job = w->job;
    w->retire |= spawn_u64_or(m, SPAWN_A_LAST, 0) != 0;
    if (!job) {
        spawn_output_rename(w->streams, spawn_worker_who(w, who));
        spawn_pool_nothing_to_do(w);
        spawn_loop_again();
        return;
    }
    if (job->state != SPAWN_STATE_RUNNING)
        return;
    if (ran && spawn_id_equal(&id, &job->id)) {
        returned(w, m);
        return;
    }
    /* its caller went in the moment in which it would have begun */
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_LOST),
                  "its caller had gone, and it was not begun");
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
    return !spawn_job_stopped(job) && !job->timed_out && !job->terminated;
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

/* Its cgroup counts for all that it has done. Whether that was the call that it
 * has is known of its first one: for another the spawner would have to read the
 * counter before each call. */
static bool counts_are_of_now(const spawn_worker *w)
{
    bool runs_one = w->job && w->job->state == SPAWN_STATE_RUNNING;

    return !w->found && !w->lease && w->calls <= (runs_one ? 1 : 0);
}

static void end_with(const spawn_worker *w, spawn_job *job,
                     const spawn_message *m)
{
    bool certain = counts_are_of_now(w);
    int64_t ran = ran_us(w, job, m);
    spawn_end *end = end_call(job);

    if (end->elapsed_us > ran)
        end->elapsed_us = ran;
    if (m && spawn_has(m, SPAWN_A_WAIT_STATUS)) {
        spawn_end_status(job, end,
                         (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]),
                         certain ? spawn_end_oom_kills(m) : 0);
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

static bool ended_well(const spawn_message *m)
{
    int status = m ? (int)spawn_u64_or(m, SPAWN_A_WAIT_STATUS, 1) : 1;

    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The call that it had, and no other, ends with it. lent: its slate says that
 * this one has not ended, so what is on its board is of a call before. */
static void job_lost(spawn_worker *w, const spawn_message *m, bool lent)
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
    job->perl->worker_died = lent || !take_result(job, w);
    if (job->perl->worker_died && ended_well(m) && is_wanted(job)
        && spawn_worker_may_have_begun(w))
        /* a worker that leaves ends so, and nobody must take that for the
         * call's */
        spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_LOST),
                      "its broker was killed when it was given to a worker, "
                      "which has left: whether it has run is not known");
    else
        end_with(w, job, m);
    spawn_pool_release(job);
}

/* How the worker ended says nothing of it. */
static void ended_before(spawn_worker *w)
{
    spawn_job *job = w->job;

    returned(w, NULL);
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
    bool certain = counts_are_of_now(w);
    bool lent = w->lent != SPAWN_LENT_NOT;
    spawn_pool *pool = w->pool;
    bool ended = spawn_lease_gone(w);
    char how[200];

    spawn_pool_leaves(w);
    spawn_output_finish(w->streams); /* its last words come before the news */
    if (w->job && ended && w->job->state == SPAWN_STATE_RUNNING)
        ended_before(w);
    else if (w->job)
        job_lost(w, m, lent);
    if (m)
        spawn_end_describe(m, certain, how, sizeof(how));
    if (m && !w->served && !told_to) {
        spawn_pool_failed(pool, how);
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
