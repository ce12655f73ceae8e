/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders are sent, at the end of a turn, and what must be noted before. Runs in
 * the broker. Must send no order of a job that neither the store nor a note nor
 * a slot of the inbox says is launched: a broker after this one would send it
 * again.
 */
#include "broker/turn_launch.h"

#include <stdlib.h>

#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/passed.h"
#include "broker/job/allowed.h"
#include "broker/job/body.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/share.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/worker.h"
#include "broker/store/commit.h"
#include "broker/store/launches.h"
#include "broker/store/store.h"
#include "broker/run/end.h"
#include "broker/run/launch.h"
#include "broker/run/pool.h"
#include "broker/caller/inbox.h"
#include "broker/relay/origin.h"

void spawn_turn_release(spawn_job *job)
{
    if (!job->held)
        return;
    spawn_link_send_id(SPAWN_M_RELEASE, &job->id, NULL, 0);
    spawn_passed_close(job->held->fds, job->held->count, job->caller_uid);
    free(job->held);
    job->held = NULL;
}

static void failed(spawn_job *job, const spawn_failure *why)
{
    spawn_batch *b = job->batch;

    b->unlaunched =
        spawn_array_grow(b->unlaunched, b->unlaunched_used, &b->unlaunched_room,
                         sizeof(spawn_unlaunched));
    b->unlaunched[b->unlaunched_used++] =
        (spawn_unlaunched){.job = job, .why = *why};
}

static bool is_ordered(const spawn_job *job)
{
    return job->ledger == SPAWN_IN_LEDGER_ORDERED;
}

/* The rules may have changed since it was taken. */
static bool is_refused(const spawn_job *job, const spawn_body *body,
                       spawn_failure *why)
{
    spawn_message m;

    if (!job->queue->allowed || spawn_body_read(job, body, &m, NULL)
        || !spawn_allowed_check(job->queue, &m, (long)job->caller_uid, why))
        return false;
    if (job->waiters) /* else the line of its end says it */
        spawn_allowed_log(job->queue, &job->id, &m, why->text);
    return true;
}

void spawn_turn_launch(spawn_job *job)
{
    spawn_body *read = NULL;
    spawn_failure why;
    int rv;

    if (!job->launch || (job->ledger && !is_ordered(job)))
        return;
    job->launch = false;
    if (!job->body)
        read = spawn_store_body(job);
    if (spawn_job_away(job))
        rv = spawn_origin_hand_over(job, job->body ? job->body : read, &why);
    else if (is_refused(job, job->body ? job->body : read, &why))
        rv = -1;
    else if (job->perl && job->perl->worker)
        rv = spawn_pool_call(job, job->body ? job->body : read, &why);
    else
        rv = spawn_launch(job, job->body ? job->body : read, &why);
    free(read);
    if (rv)
        failed(job, &why);
    if (!job->perl) /* a Perl job may have to be ordered again */
        spawn_turn_release(job);
}

/* The slot's note before the order is sent. A call runs in a process that is
 * known already. */
static void note_launch(const spawn_job *job)
{
    const spawn_worker *w = job->perl ? job->perl->worker : NULL;
    const spawn_inbox_note note = {.id = job->id,
                                   .life = spawn_conf.spawner_life,
                                   .digest = job->digest,
                                   .submitted_at = job->submitted_at,
                                   .started_at = w ? spawn_wall_ms() : 0,
                                   .boot_started = w ? w->boot_started : 0,
                                   .caller_uid = job->caller_uid,
                                   .caller_pid = job->caller_pid,
                                   .pid = w ? w->pid : 0,
                                   .of_worker = w != NULL,
                                   .attempt = (uint8_t)job->attempt,
                                   .lent = job->lent};

    spawn_inbox_launched(job->slot, &note);
}

static bool lend_slot(spawn_job *job)
{
    if (!job->slot) {
        job->slot = (uint8_t)spawn_inbox_lend_order(job->body);
        job->lent = job->slot != 0;
    }
    return job->slot != 0;
}

bool spawn_turn_keep_end(spawn_job *job)
{
    if (!lend_slot(job))
        return false;
    note_launch(job);
    spawn_inbox_ends(job->slot, job);
    return true;
}

/* Its slot has it, and says so before the order is sent. A call is lent one
 * only now, so that calls that wait take none. */
static void launch_unstored(spawn_job *job)
{
    if (!lend_slot(job)) { /* then it is stored before */
        job->may_run_unstored = false;
        spawn_job_store_now(job);
        return;
    }
    note_launch(job);
    job->launched = true;
    spawn_turn_launch(job);
}

/* Its note says so before the order is sent; where there can be none, the store
 * does. */
void spawn_turn_launch_stored(spawn_job *job)
{
    spawn_store *store = job->batch->store;

    if (!spawn_commit_failing(store))
        job->noted =
            (uint16_t)spawn_launches_note(store, &job->id, job->attempt);
    if (!job->noted) {
        spawn_job_changed(job);
        return;
    }
    spawn_job_changed_soon(job);
    spawn_turn_launch(job);
}

/* For a broker that comes after us and the spawner: where its process is. */
static void note_process(spawn_job *job)
{
    if (job->state == SPAWN_STATE_RUNNING)
        spawn_inbox_runs(job->slot, job->pid, job->started_at,
                         job->boot_started);
}

/* Its slot says it before callers are told: a broker after this one must not
 * tell them something else. */
void spawn_turn_note_news(spawn_job *job)
{
    if (!job->slot)
        return;
    note_process(job);
    if (spawn_job_over(job))
        spawn_inbox_ends(job->slot, job);
}

void spawn_turn_unstored_news(spawn_job *job)
{
    if (job->launch)
        launch_unstored(job);
    spawn_turn_note_news(job);
}

/* Call when the turn's list is finished: an end makes its job due again. */
void spawn_turn_end_failed(spawn_batch *batch)
{
    while (batch->unlaunched_used > 0) {
        const spawn_unlaunched *f =
            &batch->unlaunched[--batch->unlaunched_used];

        spawn_output_drop(f->job->streams);
        spawn_end_start_failed(f->job, f->why.step, f->why.error, f->why.text);
        spawn_loop_again();
    }
}
