/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a turn. Runs in the broker.
 *
 * The order makes "accepted" true, and must stay: schedule, commit, answers,
 * launch orders, FORGET to the spawner. (What the inbox or a note covers,
 * answers and launches, is out before the commit: job/changes.h.) Of jobs that
 * the store does not take, those that came in this turn are refused, those that
 * should have started wait again, and other changes are stored later.
 */
#include "broker/turn.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/passed.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/allowed.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/process/link.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/worker.h"
#include "broker/store/commit.h"
#include "broker/store/launches.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/launch.h"
#include "broker/run/order.h"
#include "broker/run/pool.h"
#include "broker/run/report.h"
#include "broker/run/retry.h"
#include "broker/run/schedule.h"
#include "broker/run/when.h"
#include "broker/caller/admit.h"
#include "broker/caller/ask.h"
#include "broker/caller/connection.h"
#include "broker/caller/courtesy.h"
#include "broker/caller/cron.h"
#include "broker/caller/inbox.h"
#include "broker/caller/reply.h"
#include "broker/caller/spool.h"
#include "broker/caller/waiter.h"
#include "broker/broker.h"
#include "broker/life.h"
#include "broker/recover.h"
#include "broker/recover_ledger.h"

/* ---- what a job lets go of ---- */

static void release_held(spawn_job *job)
{
    if (!job->held)
        return;
    spawn_link_send_id(SPAWN_M_RELEASE, &job->id, NULL, 0);
    spawn_passed_close(job->held->fds, job->held->count, job->caller_uid);
    free(job->held);
    job->held = NULL;
}

/* The job is stored with its end, or never was stored; its handles have been
 * released. */
static void let_go(spawn_job *job)
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
    if (job->leader >= 0)
        (void)close(job->leader);
    spawn_queue_leave(job);
    spawn_job_free(job);
}

/* ---- launches ---- */

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

static void launch(spawn_job *job)
{
    spawn_body *read = NULL;
    spawn_failure why;
    int rv;

    if (!job->launch || (job->ledger && !is_ordered(job)))
        return;
    job->launch = false;
    if (!job->body)
        read = spawn_store_body(job);
    if (is_refused(job, job->body ? job->body : read, &why))
        rv = -1;
    else if (job->perl && job->perl->worker)
        rv = spawn_pool_call(job, job->body ? job->body : read, &why);
    else
        rv = spawn_launch(job, job->body ? job->body : read, &why);
    free(read);
    if (rv)
        failed(job, &why);
    if (!job->perl) /* a Perl job may have to be ordered again */
        release_held(job);
}

/* What a slot says before the order is sent. A call runs in a process that is
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

/* Its slot has it, and says so before the order is sent. A call is lent one
 * only now, so that calls that wait take none. */
static void launch_unstored(spawn_job *job)
{
    if (!job->slot) {
        job->slot = (uint8_t)spawn_inbox_lend_order(job->body);
        job->lent = job->slot != 0;
    }
    if (!job->slot) { /* then it is stored before */
        job->may_run_unstored = false;
        spawn_job_store_now(job);
        return;
    }
    note_launch(job);
    job->launched = true;
    launch(job);
}

/* Its note says so before the order is sent; where there can be none, the store
 * does. */
static void launch_stored(spawn_job *job)
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
    launch(job);
}

/* For a broker that comes after us and the spawner: where its process is. */
static void note_process(spawn_job *job)
{
    if (job->state == SPAWN_STATE_RUNNING)
        spawn_inbox_runs(job->slot, job->pid, job->started_at,
                         job->boot_started);
}

/* Call when the turn's list is finished: an end makes its job due again. */
static void end_failed(spawn_batch *batch)
{
    while (batch->unlaunched_used > 0) {
        const spawn_unlaunched *f =
            &batch->unlaunched[--batch->unlaunched_used];

        spawn_output_drop(f->job->streams);
        spawn_end_start_failed(f->job, f->why.step, f->why.error, f->why.text);
        spawn_loop_again();
    }
}

/* ---- jobs that are stored ---- */

/* Its next order, which has the same id, must come to the spawner after this.
 */
static void try_again(spawn_job *job)
{
    if (job->in_table)
        spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
    if (job->revived)
        spawn_store_count_revived(job->batch->store);
    spawn_retry_begin(job);
    if (job->ledger == SPAWN_IN_LEDGER_ASKED) /* it was revived */
        spawn_durable_revive(job);
    spawn_loop_again();
}

/* A launch can make a job due again, so that due_next belongs to another list:
 * each step takes the next job first.
 * all: nothing waits for another commit, so that all ends may be forgotten, of
 * workers too. */
static void finish_all(spawn_job *list, bool all)
{
    while (list) {
        spawn_job *job = list;

        list = job->due_next;
        spawn_job_settled(job);
        spawn_order_stored(job);
        spawn_launches_stored(job->batch->store, job->noted);
        job->noted = 0;
        launch(job);
        if (job->again && !job->revived)
            spawn_report_attempt(job);
        else if (spawn_job_over(job))
            spawn_report_end(job);
        free(job->body);
        job->body = NULL;
        spawn_inbox_leave(job);
        if (job->spooled)
            spawn_spool_remove(&job->id);
        job->spooled = false;
        if (job->again)
            try_again(job);
        spawn_durable_follow(job);
        if (job->ledger == SPAWN_IN_LEDGER_WAITS)
            spawn_loop_again(); /* it may start now */
        if (job->state != SPAWN_STATE_DONE)
            continue;
        release_held(job);
        if (job->in_table && all)
            spawn_link_forget(&job->id);
        else if (job->in_table)
            spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
        spawn_store_count_done(job->batch->store);
        spawn_recent_add(job->batch->store, &job->id);
        let_go(job);
    }
    if (all)
        spawn_link_forget_all();
}

/* Jobs that did not fit are written in the next turn. */
static void mark_rest(const spawn_batch *batch, bool rest)
{
    spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next)
        job->rest = rest;
    if (spawn_batch_due(batch))
        spawn_loop_again();
}

/* Its slot says it before callers are told: a broker after this one must not
 * tell them something else. */
static void note_news(spawn_job *job)
{
    if (!job->slot)
        return;
    note_process(job);
    if (spawn_job_over(job))
        spawn_inbox_ends(job->slot, job);
}

/* ---- jobs that the store did not take ---- */

/* It was to start in this turn, or was cancelled while it waited: back to its
 * place in the queue. The store has it as it was; the ledger may have it that
 * it starts. */
static void unlaunch(spawn_job *job)
{
    spawn_end_drop(job);
    spawn_perl_settled(job, false);
    spawn_pool_unreserve(job);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_durable_follow(job);
}

/* On a full disk an order waits for its commit over many turns, and must not
 * be sent after the time by which the job was to start. */
static void unlaunch_expired(const spawn_batch *batch)
{
    spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        if (job->launch && spawn_job_expired(job))
            unlaunch(job);
    }
}

/* An unstored job (job/changes.h) that was launched runs, and its caller is
 * told, whether it is stored or not. A call that waits for a worker has no
 * slot, and waits on. Only a call that was answered, or never ran, is left out
 * of the history: who has no answer asks for it, and it would run again. */
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

static void refuse_all(spawn_job *job)
{
    spawn_failure why;

    spawn_commit_refusal(job, &why);
    spawn_waiters_refuse(job, &why);
}

/* Who is refused must not have it run: as long as the ledger has it a broker
 * after us would. */
static void refuse_forgotten(spawn_job *job, const spawn_failure *why)
{
    spawn_replies_refuse_later(job, why);
    spawn_waiters_refuse_later(job, why);
    spawn_durable_drop(&job->id);
}

static const spawn_failure *refusal_of(const spawn_job *job, spawn_failure *ret)
{
    spawn_commit_refusal(job, ret);
    return ret;
}

/* It is told and does not run again, though the store does not know it. */
static void keep_unrecorded(const spawn_job *job)
{
    spawn_unrecorded call = {
        .id = job->id, .digest = job->digest, .caller_uid = job->caller_uid};

    (void)snprintf(call.queue, sizeof(call.queue), "%s", job->queue->name);
    spawn_unrecorded_add(&call);
}

static void undo(spawn_job *job)
{
    spawn_failure why;

    if (job->revived) { /* its row says that it is dead */
        refuse_all(job);
        spawn_job_on(job, SPAWN_JOB_UNDONE);
        let_go(job);
        return;
    }
    if (job->again)
        undo_again(job);
    if (goes_on(job)) {
        /* it waits for nothing (the end) or for a worker that is there: the
         * next turn goes on without the store */
        if (job->state == SPAWN_STATE_DONE
            || (job->launch && job->perl && job->perl->pooled))
            spawn_loop_again();
        if (job->launch)
            unlaunch(job);
        note_news(job);
        spawn_job_store_again(job);
        spawn_job_tell_waiters(job);
        return;
    }
    if (!job->in_store && !job->promised) { /* the ledger has a promised one */
        bool kept = job->slot && !job->lent;

        if (kept || job->spooled)
            tell_kept(job);
        if (kept) {
            /* Its caller may have been told that it is accepted: so it stays,
             * at its place in the queue; and so does a refusal. */
            if (spawn_queue_was_in(job)
                && (job->launch || job->state == SPAWN_STATE_DONE))
                unlaunch(job);
            wait_in_slot(job);
            return;
        }
        if (spawn_reply_waits_for_ledger(job))
            refuse_forgotten(job, refusal_of(job, &why));
        else
            refuse_all(job);
        release_held(job);
        if (job->state == SPAWN_STATE_DONE && job->may_run_unstored
            && job->started_at)
            keep_unrecorded(job);
        spawn_job_on(job, SPAWN_JOB_UNDONE);
        spawn_inbox_leave(job);
        if (job->spooled)
            spawn_spool_retry();
        let_go(job);
        return;
    }
    if (job->launch) {
        unlaunch(job);
        return;
    }
    spawn_job_changed(job);
    /* a full disk may outlast the power; what only the ledger has stays open
     * there until the store has it */
    if (job->state == SPAWN_STATE_QUEUED
        || (job->in_store && spawn_job_over(job)))
        spawn_durable_follow(job);
}

static void undo_all(spawn_job *list)
{
    while (list) {
        spawn_job *job = list;

        list = job->due_next;
        spawn_job_settled(job);
        undo(job);
    }
}

/* ---- durable jobs: run/durable.h ---- */

/* One that is revived replaces nobody, whatever its order says. */
static void durable_accepted(spawn_job *job)
{
    bool is_new = job->attempt == 1 && !job->ask_again;

    spawn_queue_let_in(job);
    spawn_job_changed(job);
    if (is_new)
        spawn_admitted_late(job);
}

/* The store has it already, or is about to: that is an attempt which could not
 * be started. One that was revived is dead again. */
static void refused_late(spawn_job *job, const spawn_failure *why)
{
    spawn_end_start_failed(job, SPAWN_STEP_STORE, why->error, why->text);
    job->judged = true;
    job->dead = job->attempt > 1;
}

/* Who submitted such a one is told of its end, as everybody is. */
static bool is_refused_late(const spawn_job *job)
{
    return job->in_store || job->due == SPAWN_DUE_THIS_TURN;
}

static void durable_refused(spawn_job *job, const spawn_failure *why)
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
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    let_go(job);
}

/* Nobody is left then for what follows, but who waits for the end of one that
 * was to be revived. */
static void durable_refused_later(spawn_job *job, const spawn_failure *why)
{
    if (!is_refused_late(job))
        refuse_forgotten(job, why);
    else if (job->attempt > 1)
        spawn_replies_refuse_later(job, why); /* when its end is there */
    durable_refused(job, why);
}

static void durable_forgotten(void *of, const spawn_id *id)
{
    spawn_broker *broker = of;

    spawn_replies_forgotten(&broker->batch, id);
}

static void ledger_is_read(void *of)
{
    spawn_broker *broker = of;

    spawn_recover_late_end();
    spawn_recover_rest(&broker->batch);
    spawn_order_look_again();
}

/* What others have done to them meanwhile. */
static void can_be_decided(void *of)
{
    (void)of;
    spawn_order_look_again();
}

static const spawn_durable_events durable_events = {
    .accepted = durable_accepted,
    .refused = durable_refused,
    .refused_later = durable_refused_later,
    .forgotten = durable_forgotten,
    .held_back = unlaunch,
    .begun = spawn_life_begun,
    .late = spawn_recover_late,
    .late_end = ledger_is_read,
    .decided = can_be_decided};

void spawn_turn_open(spawn_broker *broker)
{
    spawn_durable_open(&durable_events, broker);
}

/* ---- after the commit ---- */

static void after_commit(spawn_broker *broker, const spawn_committed *committed)
{
    spawn_batch *batch = &broker->batch;
    spawn_job *list = spawn_batch_take(batch, committed->written);
    spawn_job *bad = spawn_batch_take(batch, committed->failed);
    spawn_job *job;
    bool all;

    for (job = list; job; job = job->due_next)
        job->in_store = true;
    mark_rest(batch, true);
    /* neither a full disk nor a job from spool or inbox must keep httpd from
     * starting */
    spawn_life_ready(broker, !bad || list || committed->disk_full
                                 || committed->new_failed);
    spawn_replies_send(batch);
    mark_rest(batch, false);
    for (job = list; job; job = job->due_next)
        spawn_waiters_tell(job);
    undo_all(bad);
    spawn_peers_serve();
    all = !spawn_batch_due(batch);
    if (all)
        spawn_link_forget_all();
    finish_all(list, all);
    if (all) /* what was found is due until it is stored */
        spawn_durable_stored(batch->store);
    end_failed(batch);
    spawn_replies_tidy(batch);
}

/* ---- the turn ---- */

static void unstored_news(spawn_job *job)
{
    if (job->launch)
        launch_unstored(job);
    note_news(job);
}

static size_t weight_of(const spawn_job *job)
{
    size_t weight = spawn_output_size(job);

    return job->perl && job->perl->kept ? weight + job->perl->kept->length
                                        : weight;
}

/* Its worker can have another call, which overwrites ticket and result of this
 * one: when nobody waits for it, or all have it in their sockets. Else it is
 * stored first. The slot stays until then when nobody has its end. */
static void let_worker_go(spawn_job *job)
{
    if (job->unsent && !spawn_commit_failing(job->batch->store)) {
        spawn_job_store_now(job);
        return;
    }
    if (job->perl && job->perl->worker && job->lent && job->told
        && !job->unsent)
        spawn_inbox_leave(job);
    spawn_pool_release(job);
}

static void waits_again(spawn_job *job)
{
    spawn_inbox_waits_again(job);
    if (job->in_store)
        spawn_launches_undo(job);
}

/* Those that have just started would be stored twice. */
static void make_slots(spawn_batch *batch)
{
    if (!spawn_inbox_crowded() || spawn_commit_failing(batch->store))
        return;
    if (spawn_inbox_nearly_full())
        spawn_batch_store_now(batch);
    else
        spawn_batch_store_most(batch);
}

/* Launch unstored jobs, and answer the callers that wait for them. */
static void tell_news(spawn_batch *batch)
{
    size_t weight = 0;
    spawn_job *job;

    while ((job = spawn_batch_to_tell(batch))) {
        bool unstored;

        spawn_retry_judge(job);
        unstored = spawn_job_unstored(job);
        if (job->again)
            continue; /* nobody is told before the end */
        if (job->state == SPAWN_STATE_QUEUED)
            waits_again(job);
        if (job->in_store && job->launch && !job->ledger
            && job->due != SPAWN_DUE_THIS_TURN)
            launch_stored(job);
        if (!unstored && (!job->in_store || job->state == SPAWN_STATE_DONE))
            continue; /* stored in this turn, and told then */
        if (unstored)
            unstored_news(job);
        if (job->state == SPAWN_STATE_DONE)
            spawn_perl_take_result(job);
        spawn_waiters_tell(job);
        if (job->state != SPAWN_STATE_DONE)
            continue;
        let_worker_go(job);
        weight += weight_of(job);
    }
    spawn_batch_store_many(batch, weight);
}

/* What the store gets must say whether it is tried again. */
static void judge(const spawn_batch *batch)
{
    spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next)
        spawn_retry_judge(job);
}

void spawn_turn_end(void *of)
{
    spawn_broker *broker = of;
    spawn_batch *batch = &broker->batch;
    spawn_committed committed;
    bool good = true;

    if (spawn_phase.recovered) {
        spawn_cron_turn(batch);
        tell_news(batch);
        spawn_courtesy_to_caller();
        unlaunch_expired(batch);
        spawn_order_follow();
        spawn_when_look();
        spawn_schedule();
        tell_news(batch);
        make_slots(batch);
        judge(batch);
        (void)spawn_store_note_clock(batch->store); /* or the next turn */
        good = spawn_commit(batch, &committed);
        after_commit(broker, &committed);
        spawn_when_wait();
    }
    spawn_peers_turn_over();
    spawn_life_end_of_turn(broker, good && !spawn_batch_due(batch));
}
