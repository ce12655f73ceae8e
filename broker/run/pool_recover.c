/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools when the broker begins and ends. Runs in the broker. Must not let a
 * call run twice, nor lose one.
 *
 * A killed broker leaves three kinds of calls: the store knows them and they
 * run in a worker (its ticket says so); only the ticket, and perhaps a slot of
 * the inbox, knows them; they have returned and nobody was told. The board
 * decides between the last two. A call of which nothing is known is sent again:
 * a worker takes a call once.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/spawn_board.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "common/spawn_retry.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/ticket.h"
#include "broker/process/worker.h"
#include "broker/store/salvage.h"
#include "broker/store/store.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"

spawn_worker *spawn_pool_ticket(const spawn_id *id, unsigned attempt)
{
    spawn_worker *w, *last = NULL;
    spawn_ticket_call call;

    /* a call that was given to a second worker may also be in the ticket of the
     * first, until that has gone or another call */
    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        if (!spawn_ticket_get(w->ticket, &call, NULL)
            || !spawn_id_equal(&call.id, id)
            || call.attempt < attempt + (last != NULL))
            continue;
        last = w;
        attempt = call.attempt;
    }
    return last;
}

static void attach(spawn_worker *w, spawn_job *job,
                   const spawn_ticket_call *call)
{
    char who[SPAWN_WHO];

    spawn_pool_attach(w, job);
    job->digest = call->digest;
    job->pid = w->pid;
    job->boot_started = w->boot_started;
    job->started_at = call->started_at;
    job->mono_started = call->mono_started;
    job->perl->mono_us = call->mono_started * 1000;
    job->perl->pooled = true;
    spawn_output_rename(w->streams, spawn_output_who(&job->id, who));
    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
}

void spawn_pool_join(spawn_job *job)
{
    spawn_body *read = NULL;
    spawn_message m;

    if (!job->perl || !job->queue->pool || job->queue->pool->max == 0)
        return;
    if (!job->body)
        read = spawn_store_body(job);
    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0
        && spawn_pool_serves(job->queue, &m))
        job->perl->pooled = true;
    free(read);
}

void spawn_pool_take_up(spawn_worker *w, spawn_job *job)
{
    spawn_ticket_call call;

    if (spawn_ticket_get(w->ticket, &call, NULL))
        attach(w, job, &call);
}

/* Of a job that is not stored. */
static void read_retries(spawn_job *job)
{
    spawn_message m;

    if (spawn_body_read(job, job->body, &m, NULL) == 0)
        job->retries = (uint8_t)spawn_retry_left(&m, job->attempt);
}

static spawn_job *make(spawn_batch *batch, spawn_worker *w,
                       const spawn_ticket_call *call, spawn_body *body,
                       const char *template)
{
    spawn_job *job = spawn_job_new(batch, &call->id);

    job->body = body;
    job->may_run_unstored = job->launched = true;
    job->submitted_at = call->submitted_at;
    job->caller_uid = call->caller_uid;
    job->caller_pid = call->caller_pid;
    spawn_queue_join(job, w->pool->queue->name);
    spawn_perl_make(job, template);
    attach(w, job, call);
    job->attempt = (uint16_t)call->attempt;
    return job;
}

static bool has_result(const spawn_worker *w)
{
    void *data = NULL;
    size_t length;
    int rv = spawn_board_result(w->board, &data, &length);

    free(data);
    return rv > SPAWN_RESULT_NONE;
}

/* The call of its ticket, when no job has it. */
static bool is_nobodys(const spawn_worker *w, spawn_ticket_call *ret,
                       spawn_body **ret_body)
{
    if (!spawn_ticket_get(w->ticket, ret, ret_body))
        return false;
    if (spawn_id_valid(&ret->id) && spawn_pool_ticket(&ret->id, 1) == w
        && !spawn_job_find(&ret->id))
        return true;
    free(*ret_body);
    *ret_body = NULL;
    return false;
}

/* What a ticket says that belongs to no open job of the store. */
typedef enum {
    OVER,    /* its call has ended */
    FOUND,   /* only the ticket knows it: now a job does */
    UNKNOWN, /* it was stored, and the store does not have it: one that has
                ended, since it was damaged. Else the history let go of it */
    FAILED   /* the store cannot be read */
} finding;

static finding from_ticket(spawn_batch *batch, spawn_worker *w)
{
    spawn_ticket_call call;
    spawn_known known;
    spawn_body *body;
    bool had_body;
    int rv;

    if (!is_nobodys(w, &call, &body))
        return OVER;
    had_body = body != NULL;
    rv = spawn_store_find(batch->store, &call.id, &known);
    if (rv == 0 && body && !spawn_store_forgotten(batch->store, &call.id)) {
        read_retries(make(batch, w, &call, body, NULL));
        return FOUND;
    }
    free(body);
    if (rv < 0)
        return FAILED;
    return rv == 0 && !had_body
                   && (!has_result(w) || spawn_salvage_waits(batch->store))
               ? UNKNOWN
               : OVER;
}

/* Has the call returned? Else send it again, since it may never have been
 * sent. The board of one that is lent may have the result of a call before this
 * one, which it has noted and perhaps not begun: GIVEN_BACK tells, or its slate
 * when it has gone. */
static void go_on(spawn_worker *w, spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    const spawn_body *body = job->body ? job->body : read;
    spawn_whose whose;
    spawn_message m;
    void *data = NULL;
    size_t length;
    int rv = spawn_board_result(w->board, &data, &length);

    free(data);
    spawn_job_changed(job);
    if (rv > SPAWN_RESULT_NONE && !w->lent) {
        spawn_pool_found_returned(w);
    }
    else if (spawn_body_read(job, body, &m, NULL) == 0) {
        spawn_queue_limits(job, &m);
        spawn_logs_whose(&m, &whose);
        spawn_output_belongs(w->streams, &whose);
        spawn_end_arm(job, spawn_mono_ms() - job->mono_started);
        /* One that came from its caller begins in no other way, and its
         * arguments are not here. When the worker has gone, EXITED is on its
         * way. */
        w->call_found = !w->lent;
        w->sent_again =
            w->call_found && spawn_worker_send_again(w, job, &m, body) == 0;
    }
    free(read);
}

/* One whose call is unknown stays busy until it is found, or taken in. */
int spawn_pools_recover(spawn_batch *batch)
{
    spawn_worker *w;

    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        finding is = w->job ? FOUND : from_ticket(batch, w);

        if (is == FAILED)
            return -1;
        w->unknown = is == UNKNOWN && !w->lent;
        spawn_lease_end(w); /* which may take up another call, or end this */
        if (is == FOUND && w->job->state == SPAWN_STATE_RUNNING)
            go_on(w, w->job);
        else if (w->state == SPAWN_WORKER_BUSY && !w->lent && !w->unknown)
            spawn_pool_nothing_to_do(w);
    }
    return 0;
}

bool spawn_pool_is_unknown(spawn_worker *w, spawn_ticket_call *ret)
{
    spawn_body *body = NULL;

    if (!w->unknown)
        return false;
    w->unknown = false;
    if (w->job) /* the ledger had it */
        go_on(w, w->job);
    else if (is_nobodys(w, ret, &body)) /* it may have returned since */
        w->unknown = true;
    else
        spawn_pool_nothing_to_do(w);
    free(body);
    return w->unknown;
}

bool spawn_pool_has_unknown(const spawn_id *id)
{
    const spawn_worker *w = NULL;
    spawn_ticket_call call;

    while ((w = spawn_worker_next(w))) {
        if (w->unknown && spawn_ticket_get(w->ticket, &call, NULL)
            && spawn_id_equal(&call.id, id))
            return true;
    }
    return false;
}

/* It is not sent again, since nobody has its arguments: a worker that was never
 * sent it reads the end of its calls, and leaves; one that has returned serves
 * on. A broker after this one, if the store does not have it by then, goes by
 * the ticket. */
spawn_job *spawn_pool_take_in(spawn_batch *batch, spawn_worker *w,
                              const spawn_ticket_call *call, spawn_body *body,
                              const char *template, const spawn_body *marked)
{
    spawn_whose whose = {.vhost = ""}; /* nobody's */
    spawn_job *job = make(batch, w, call, body, template);
    spawn_message m;

    w->unknown = false;
    spawn_ticket_clear(w->ticket);
    spawn_ticket_put(w->ticket, call, marked);
    job->judged = true; /* it is not tried again */
    if (spawn_body_read(job, body, &m, NULL) == 0) {
        spawn_queue_limits(job, &m);
        spawn_logs_whose(&m, &whose);
    }
    spawn_output_belongs(w->streams, &whose);
    if (has_result(w)) {
        spawn_pool_found_returned(w);
        return job;
    }
    spawn_end_arm(job, spawn_mono_ms() - job->mono_started);
    w->call_found = true;
    w->sent_again = false;
    spawn_worker_last_call(w);
    return job;
}

void spawn_pools_rest(void)
{
    spawn_worker *w;

    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w))
        spawn_pool_dismiss(w);
}

unsigned spawn_pools_leave(void)
{
    unsigned left = 0;
    spawn_worker *w;

    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        spawn_pool_dismiss(w);
        left += !w->unparented;
    }
    return left;
}
