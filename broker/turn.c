/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a turn. Runs in the broker.
 *
 * The order makes "accepted" true, and must stay: schedule, commit, answers,
 * launch orders, FORGET to the spawner. (What the inbox or a note covers,
 * answers and launches, is out before the commit: job/changes.h.) What becomes
 * of jobs that the store does not take is in turn_undo.c.
 */
#include "broker/turn.h"

#include <stdlib.h>

#include "broker/base/loop.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/commit.h"
#include "broker/store/launches.h"
#include "broker/store/recent.h"
#include "broker/store/salvage.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"
#include "broker/run/count.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
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
#include "broker/relay/taking.h"
#include "broker/broker.h"
#include "broker/life.h"
#include "broker/recover.h"
#include "broker/recover_ledger.h"
#include "broker/recover_told.h"
#include "broker/turn_launch.h"
#include "broker/turn_undo.h"

/* ---- jobs that are stored ---- */

/* Its next order, which has the same id, must come to the spawner after this.
 */
static void try_again(spawn_job *job)
{
    spawn_count_again(job);
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
        spawn_shared_stored(job);
        spawn_order_stored(job);
        spawn_launches_stored(job->batch->store, job->noted);
        job->noted = 0;
        spawn_turn_launch(job);
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
        if (job->due != SPAWN_DUE_NOT) /* it could not: that is stored next */
            continue;
        spawn_durable_follow(job);
        if (job->ledger == SPAWN_IN_LEDGER_WAITS)
            spawn_loop_again(); /* it may start now */
        if (job->state != SPAWN_STATE_DONE)
            continue;
        spawn_turn_release(job);
        if (job->in_table && all)
            spawn_link_forget(&job->id);
        else if (job->in_table)
            spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
        spawn_count_end(job);
        if (job->revived) /* and has ended since, as the ledger knew */
            spawn_store_count_revived(job->batch->store);
        spawn_store_count_done(job->batch->store);
        spawn_recent_add(job->batch->store, &job->id);
        spawn_unrecorded_drop(&job->id);
        spawn_turn_let_go(job);
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

static void durable_forgotten(void *of, const spawn_id *id)
{
    spawn_broker *broker = of;

    spawn_replies_forgotten(&broker->batch, id);
    spawn_order_forgotten(id);
}

static void ledger_is_read(void *of)
{
    spawn_broker *broker = of;

    spawn_recover_late_end();
    spawn_recover_rest(&broker->batch);
    spawn_cron_ledger_read();
    spawn_order_look_again();
}

/* Others may have changed them meanwhile. */
static void can_be_decided(void *of)
{
    (void)of;
    spawn_order_look_again();
}

static const spawn_durable_events durable_events = {
    .accepted = durable_accepted,
    .refused = spawn_turn_refused,
    .refused_later = spawn_turn_refused_later,
    .forgotten = durable_forgotten,
    .held_back = spawn_turn_unlaunch,
    .begun = spawn_life_begun,
    .late = spawn_recover_late,
    .late_end = ledger_is_read,
    .decided = can_be_decided};

void spawn_turn_open(spawn_broker *broker)
{
    spawn_durable_open(&durable_events, broker);
}

/* ---- after the commit ---- */

/* May all ends be forgotten? A call of a lease that the store did not take is
 * known by the slate of its worker alone, which goes with that one's end. */
static bool may_forget(const spawn_batch *batch)
{
    const spawn_job *job;

    if (spawn_batch_due(batch))
        return false;
    for (job = batch->again.first; job; job = job->soon_next) {
        if (!job->slot && !job->told && job->state == SPAWN_STATE_DONE)
            return false;
    }
    return true;
}

static void after_commit(spawn_broker *broker, const spawn_committed *committed)
{
    spawn_batch *batch = &broker->batch;
    spawn_job *list = spawn_batch_take(batch, committed->written);
    spawn_job *bad = spawn_batch_take(batch, committed->failed);
    spawn_job *job;
    bool all;

    for (job = list; job; job = job->due_next) {
        if (!job->in_store)
            spawn_meter_submitted(job->queue->meter);
        job->in_store = true;
        job->end_stored = spawn_job_over(job);
    }
    mark_rest(batch, true);
    /* neither a full disk nor a job from spool or inbox must keep httpd from
     * starting */
    spawn_life_ready(broker, !bad || list || committed->disk_full
                                 || committed->new_failed);
    spawn_replies_send(batch);
    mark_rest(batch, false);
    for (job = list; job; job = job->due_next)
        spawn_waiters_tell(job);
    spawn_turn_undo_all(bad);
    spawn_peers_serve();
    all = may_forget(batch);
    if (all)
        spawn_link_forget_all();
    finish_all(list, all);
    if (all) /* a job that was found is due until it is stored */
        spawn_durable_stored(batch->store);
    spawn_turn_end_failed(batch);
    spawn_replies_tidy(batch);
}

/* ---- the turn ---- */

/* On a full disk an order waits for its commit over many turns, and must not
 * be sent after the time by which the job was to start. */
static void unlaunch_expired(const spawn_batch *batch)
{
    spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        if (job->launch && spawn_job_expired(job))
            spawn_turn_unlaunch(job);
    }
}

static size_t weight_of(const spawn_job *job)
{
    size_t weight = spawn_output_size(job);

    return job->perl && job->perl->kept ? weight + job->perl->kept->length
                                        : weight;
}

/* A call of a lease, or of a ticket, has no slot. It is stored with this turn;
 * when the store does not take it, a slot has at least its end. */
static bool is_on_ticket_alone(spawn_job *job)
{
    return job->perl && job->perl->worker && !job->slot && !job->in_store
           && !job->told
           && !(spawn_commit_failing(job->batch->store)
                && spawn_turn_keep_end(job));
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
    if (is_on_ticket_alone(job))
        return;
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

/* Somebody knows its end, and neither the store nor a slot has it, or will have
 * it when its worker has another call. */
static bool has_no_record(const spawn_job *job)
{
    bool pooled = job->perl && job->perl->pooled;

    return job->told && !job->in_store
           && (!job->slot || (job->lent && (pooled || !job->launched)));
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
            spawn_turn_launch_stored(job);
        if (!unstored && (!job->in_store || job->state == SPAWN_STATE_DONE))
            continue; /* stored in this turn, and told then */
        if (unstored)
            spawn_turn_unstored_news(job);
        if (job->state == SPAWN_STATE_DONE)
            spawn_perl_take_result(job);
        spawn_waiters_tell(job);
        if (job->state != SPAWN_STATE_DONE)
            continue;
        if (has_no_record(job))
            spawn_unrecorded_keep(job);
        let_worker_go(job);
        weight += weight_of(job);
    }
    spawn_batch_store_many(batch, weight);
}

/* The row that the store gets must say whether the job is tried again; and so
 * must an answer, also when the end is stored later. */
static void judge(const spawn_batch *batch)
{
    spawn_job *job;
    size_t i;

    for (i = 0; i < batch->owed_used; i++)
        spawn_retry_judge(batch->owed[i].job);
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
        if (good && !spawn_batch_due(batch) && !spawn_told_waits())
            spawn_salvage_stored(batch->store);
        spawn_when_wait();
        spawn_cron_turn_over();
    }
    spawn_courtesy_turn_over();
    spawn_peers_turn_over();
    if (spawn_phase.recovered)
        spawn_taking_turn();
    spawn_life_end_of_turn(broker, good && !spawn_batch_due(batch));
}
