/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that the spawner has, and calls that workers run, or ran last, which the
 * store does not know, since it was damaged and set aside: they are taken into
 * the new one, so that callers can wait for them, look at them and kill them,
 * and have how they end. Runs in the broker, at its start. Must start none of
 * them again: what is read of a damaged store may be wrong.
 *
 * The damaged store's row of a job is taken when it can be believed. Else there
 * is nothing but its id: it has the queue `default` (a call: its worker's), no
 * time-out, and what it writes is kept from everybody, since nobody knows whose
 * it is.
 */
#include "broker/recover_damaged.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/process/perl.h"
#include "broker/process/worker.h"
#include "broker/store/salvage.h"
#include "broker/store/store.h"
#include "broker/run/pool.h"
#include "broker/recover_found.h"
#include "broker/recover_told.h"

#define LABEL "the store was damaged"

static spawn_body *unknown_body(const spawn_id *id)
{
    spawn_body *body = NULL;
    uint8_t room[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 0);
    spawn_put_u64(&w, SPAWN_A_CAPTURE_LIMIT, 0);
    spawn_put_str(&w, SPAWN_A_LABEL, LABEL);
    if (spawn_writer_finish(&w, 0) == 0)
        body = spawn_body_new(w.data + SPAWN_WIRE_HEADER,
                              w.length - SPAWN_WIRE_HEADER);
    return body;
}

static bool nothing_is_known(const spawn_id *id, spawn_salvaged *ret)
{
    int64_t now = spawn_wall_ms(), made = (int64_t)spawn_id_time(id);

    memset(ret, 0, sizeof(*ret));
    (void)strcpy(ret->queue, SPAWN_DEFAULT_QUEUE);
    ret->submitted_at = made < now ? made : now;
    ret->caller_uid = (uid_t)-1;
    ret->body = unknown_body(id);
    return ret->body != NULL;
}

static void tell(const spawn_id *id, bool runs, bool whole)
{
    char text[SPAWN_ID_TEXT];

    spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0896) "job %s is taken in: it %s, and only the store "
                             "that was set aside knew it%s",
                  spawn_id_format(id, text), runs ? "runs" : "has ended",
                  whole ? "" : "; nothing of it can be read there");
}

static void take_in(spawn_batch *batch, const spawn_told *t,
                    const spawn_message *m, const spawn_salvaged *row)
{
    uint64_t mark = spawn_u64_or(m, SPAWN_A_ATTEMPT, 0);
    spawn_job *job = spawn_job_new(batch, &t->id);
    static const spawn_id nobody;

    job->attempt = mark ? (uint16_t)mark : 1;
    job->judged = true; /* it is not tried again */
    job->digest = row->digest;
    job->fds = (uint8_t)row->fds;
    job->submitted_at = row->submitted_at;
    job->caller_uid = row->caller_uid;
    job->caller_pid = row->caller_pid;
    job->body = row->body;
    spawn_queue_join(job, row->queue);
    if (row->is_perl)
        spawn_perl_make(job, *row->template ? row->template : NULL);
    spawn_found_open(job, SPAWN_STATE_RUNNING, &nobody);
    spawn_job_store_now(job);
    spawn_job_changed(job);
}

static void one(spawn_batch *batch, spawn_salvage *damaged, const spawn_told *t)
{
    bool runs = !spawn_told_has_ended(&t->id), whole;
    spawn_salvaged row;
    spawn_message m;

    /* an ended job may be one that the history forgot since */
    if ((!runs && !damaged->unsalvaged) || spawn_told_parse(t, &m))
        return;
    whole = spawn_salvage_job(damaged, &t->id, &row);
    if (!whole && !nothing_is_known(&t->id, &row))
        return;
    tell(&t->id, runs, whole);
    take_in(batch, t, &m, &row);
}

/* ---- calls of workers, which the spawner does not have by their ids ---- */

/* Its arguments are lost in any case. */
static bool what_is_left(spawn_salvage *damaged, const spawn_ticket_call *call,
                         spawn_salvaged *ret)
{
    if (!damaged->there || !spawn_salvage_job(damaged, &call->id, ret))
        return false;
    if (ret->is_perl)
        return true;
    free(ret->body);
    return false;
}

static void take_in_call(spawn_batch *batch, spawn_salvage *damaged,
                         spawn_worker *w, const spawn_ticket_call *call)
{
    spawn_body *marked = unknown_body(&call->id);
    spawn_salvaged row;
    bool whole = what_is_left(damaged, call, &row);
    spawn_job *job;

    if (whole || nothing_is_known(&call->id, &row)) {
        job = spawn_pool_take_in(batch, w, call, row.body,
                                 *row.template ? row.template : NULL, marked);
        tell(&call->id,
             job->state != SPAWN_STATE_DONE && !spawn_told_has_ended(&w->id),
             whole);
        spawn_job_changed(job);
    }
    free(marked);
}

static bool is_unknown(spawn_store *store, const spawn_told *t)
{
    spawn_known known;

    return !t->used
           && (t->type == SPAWN_M_RUNNING || t->type == SPAWN_M_EXITED
               || t->type == SPAWN_M_ORPHANED)
           && !spawn_worker_find(&t->id) && !spawn_job_find(&t->id)
           && spawn_store_find(store, &t->id, &known) == 0;
}

void spawn_recover_damaged(spawn_batch *batch, bool unread, int64_t most_ms)
{
    spawn_salvage damaged = {0};
    bool looked = false;
    spawn_told *t = NULL;
    spawn_worker *w = NULL;
    spawn_ticket_call call;

    while (!unread && (t = spawn_told_next(t))) {
        if (!is_unknown(batch->store, t))
            continue;
        if (!looked)
            spawn_salvage_begin(batch->store, most_ms, &damaged);
        looked = true;
        if (!damaged.there)
            break;
        one(batch, &damaged, t);
    }
    while (!unread && (w = spawn_worker_next(w))) {
        if (!spawn_pool_is_unknown(w, &call))
            continue;
        if (!looked)
            spawn_salvage_begin(batch->store, most_ms, &damaged);
        looked = true;
        take_in_call(batch, &damaged, w, &call);
    }
    if (looked)
        spawn_salvage_end(&damaged);
}
