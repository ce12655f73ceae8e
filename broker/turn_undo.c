/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that the store did not take, or the ledger, at the end of a turn. Runs
 * in the broker. Those that came in this turn are refused, those that should
 * have started wait again, and other changes are stored later. Must not let go
 * of a job that somebody was promised.
 */
#include "broker/turn_undo.h"

#include <unistd.h>

#include "common/spawn_log.h"
#include "broker/base/loop.h"
#include "broker/job/body.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/share.h"
#include "broker/job/state.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/commit.h"
#include "broker/store/unrecorded.h"
#include "broker/run/durable_follow.h"
#include "broker/run/end.h"
#include "broker/run/order.h"
#include "broker/run/pool.h"
#include "broker/run/retry.h"
#include "broker/caller/cron.h"
#include "broker/caller/inbox.h"
#include "broker/caller/reply.h"
#include "broker/caller/spool.h"
#include "broker/caller/waiter.h"
#include "broker/turn_launch.h"

/* The job is stored with its end, or never was stored; its handles have been
 * released. */
void spawn_turn_let_go(spawn_job *job)
{
    spawn_output_drop(job->streams);
    if (job->perl) {
        spawn_perl_settled(job, false);
        spawn_pool_release(job);
        spawn_perl_drop(job);
    }
    spawn_order_gone(job);
    spawn_orphan_drop(job);
    spawn_rules_drop(job);
    spawn_share_drop(job);
    if (job->leader >= 0)
        (void)close(job->leader);
    spawn_queue_leave(job);
    spawn_job_free(job);
}

/* It was to start in this turn, or was cancelled while it waited: back to its
 * place in the queue. The store has it as it was; the ledger may have it that
 * it starts. */
void spawn_turn_unlaunch(spawn_job *job)
{
    spawn_end_drop(job);
    if (job->share)
        spawn_share_on_way(job, false);
    spawn_perl_settled(job, false);
    spawn_pool_unreserve(job);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_durable_follow(job);
}

/* ---- that the store did not take ---- */

/* An unstored job (job/changes.h) that was launched runs, and its caller is
 * told, whether it is stored or not. A call that waits for a worker has no
 * slot, and waits on. Only a call that was answered, or never ran, is left out
 * of the history: a caller without an answer asks for it, and it would run
 * again. */
static bool goes_on(const spawn_job *job)
{
    if (job->in_store || !job->may_run_unstored)
        return false;
    if (job->slot)
        return job->launched && job->state != SPAWN_STATE_QUEUED;
    return job->state != SPAWN_STATE_DONE
           || (job->started_at && (job->waiters || !job->told));
}

/* Nobody has its order. */
static void wait_in_slot(spawn_job *job)
{
    spawn_inbox_waits_again(job);
    spawn_inbox_retry(job->slot);
}

static void tell_kept(const spawn_job *job)
{
    char name[SPAWN_LOGS_NAME];

    spawn_log_few("the store", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0860) "job %s (queue %s) was posted and cannot be "
                             "stored now; it stays %s and is tried again",
                  spawn_body_name(job, job->body, name), job->queue->name,
                  job->spooled ? "in the spool" : "in the inbox");
}

/* An attempt that is to be followed by another one. A job that the store has,
 * or a slot, and that nobody waits for, is tried again when the store takes
 * that; another one ends with this attempt. */
static void undo_again(spawn_job *job)
{
    if (job->in_store || (job->slot && !job->lent && !job->waiters))
        return;
    spawn_retry_give_up(job);
}

/* A job whose caller is refused must not run: it leaves the ledger, from which
 * the next broker would take it. Nor is a job that comes after it told before.
 */
static void refuse_forgotten(spawn_job *job, const spawn_failure *why)
{
    job->forgets_first = true;
    spawn_replies_refuse_later(job, why);
    spawn_waiters_refuse_later(job, why);
    spawn_durable_drop(&job->id, SPAWN_LEDGER_IS_WAITING);
}

/* It was promised to nobody, but by its slot or by the spool. */
static void undo_new(spawn_job *job)
{
    bool kept = job->slot && !job->lent;
    spawn_failure why;

    if (kept || job->spooled)
        tell_kept(job);
    if (kept) {
        /* Its caller may have been told that it is accepted: so it stays, at
         * its place in the queue; and so does a refusal. */
        if (spawn_queue_was_in(job)
            && (job->launch || job->state == SPAWN_STATE_DONE))
            spawn_turn_unlaunch(job);
        wait_in_slot(job);
        return;
    }
    spawn_commit_refusal(job, &why);
    if (spawn_reply_waits_for_ledger(job))
        refuse_forgotten(job, &why);
    else
        spawn_waiters_refuse(job, &why);
    spawn_turn_release(job);
    if (job->state == SPAWN_STATE_DONE && job->may_run_unstored
        && (job->started_at || job->told))
        spawn_unrecorded_keep(job);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_inbox_leave(job);
    if (job->spooled)
        spawn_spool_retry();
    spawn_turn_let_go(job);
}

/* Its row says that it is dead. */
static void undo_revived(spawn_job *job)
{
    spawn_failure why;

    spawn_commit_refusal(job, &why);
    spawn_waiters_refuse(job, &why);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_turn_let_go(job);
}

/* The store learns of it later. It waits for nothing (the end) or for a worker
 * that is there: the next turn goes on without the store. */
static void go_on(spawn_job *job)
{
    if (job->state == SPAWN_STATE_DONE
        || (job->launch && job->perl && job->perl->pooled))
        spawn_loop_again();
    if (job->launch)
        spawn_turn_unlaunch(job);
    spawn_turn_note_news(job);
    spawn_job_store_again(job);
    spawn_job_tell_waiters(job);
}

/* It is in the store, or in the ledger, which has one that is promised. A full
 * disk may outlast the power; what only the ledger has stays open there until
 * the store has it. */
static void undo_change(spawn_job *job)
{
    if (job->launch) {
        spawn_turn_unlaunch(job);
        return;
    }
    spawn_job_changed(job);
    if (job->state == SPAWN_STATE_QUEUED
        || (job->in_store && spawn_job_over(job)))
        spawn_durable_follow(job);
}

static void undo(spawn_job *job)
{
    if (job->revived && !job->promised) {
        undo_revived(job);
        return;
    }
    if (job->again)
        undo_again(job);
    if (goes_on(job))
        go_on(job);
    else if (job->in_store || job->promised)
        undo_change(job);
    else
        undo_new(job);
}

void spawn_turn_undo_all(spawn_job *list)
{
    while (list) {
        spawn_job *job = list;

        list = job->due_next;
        spawn_job_settled(job);
        undo(job);
    }
}

/* ---- that the ledger did not take ---- */

/* The store has it already, or is about to: that is an attempt which could not
 * be started. One that was revived is dead again. */
static void refused_late(spawn_job *job, const spawn_failure *why)
{
    spawn_end_start_failed(job, SPAWN_STEP_STORE, why->error, why->text);
    job->judged = true;
    job->dead = job->attempt > 1;
}

/* The caller that submitted such a job has its answer already: it is told of
 * the end, as all that wait for the job are. */
static bool is_refused_late(const spawn_job *job)
{
    return job->in_store || job->due == SPAWN_DUE_THIS_TURN;
}

void spawn_turn_refused(spawn_job *job, const spawn_failure *why)
{
    bool late = is_refused_late(job);

    if (!late || job->attempt > 1) {
        spawn_replies_refuse(job, why);
        spawn_waiters_refuse(job, why);
    }
    if (late) {
        refused_late(job, why);
        return;
    }
    spawn_cron_refused(job->batch, &job->id, why);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_turn_let_go(job);
}

/* The callers are refused later, so spawn_turn_refused() finds none, but those
 * that wait for the end of a job that was to be revived. */
void spawn_turn_refused_later(spawn_job *job, const spawn_failure *why)
{
    if (!is_refused_late(job))
        refuse_forgotten(job, why);
    else if (job->attempt > 1)
        spawn_replies_refuse_later(job, why); /* when its end is there */
    spawn_turn_refused(job, why);
}
