/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are owed until the turn's commit. Runs in the broker. Must not
 * say `accepted` of a job that nothing keeps yet.
 */
#include "broker/caller/reply.h"

#include "broker/base/array.h"
#include "broker/base/meters.h"
#include "broker/job/queue.h"
#include "broker/store/commit.h"

static spawn_owed *add(spawn_peer *peer, uint32_t seq, spawn_job *job,
                       bool done)
{
    spawn_batch *b = job->batch;

    b->owed = spawn_array_grow(b->owed, b->owed_used, &b->owed_room,
                               sizeof(spawn_owed));
    b->owed[b->owed_used++] =
        (spawn_owed){.peer = peer, .seq = seq, .job = job, .done = done};
    peer->owed_count++;
    spawn_peer_watch_what(peer); /* too many are memory */
    return &b->owed[b->owed_used - 1];
}

void spawn_reply_accepted(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    (void)add(peer, seq, job, false);
}

void spawn_reply_done(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    (void)add(peer, seq, job, true);
}

void spawn_reply_kept(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                      spawn_job *job)
{
    spawn_owed *owed = add(peer, seq, job, false);

    owed->kept = true;
    owed->of = *id;
}

static void count_refusal(const spawn_owed *r, const spawn_failure *why)
{
    if (!r->done) /* a submit */
        spawn_meter_refused(r->job->queue->meter, why->code);
}

/* Of the job that was submitted, also where another one is kept in its place.
 */
static void refuse(const spawn_owed *r, const spawn_failure *why)
{
    count_refusal(r, why);
    spawn_peer_refuse(r->peer, r->seq, r->kept ? &r->of : &r->job->id, why);
}

/* One that is tried again has not ended. */
static unsigned state_of(const spawn_job *job)
{
    return job->again ? SPAWN_STATE_QUEUED : job->state;
}

/* One that was cancelled meanwhile has its end; one that is revived is asked
 * for when the store has it. */
static bool is_asked(const spawn_job *job)
{
    return job->ledger == SPAWN_IN_LEDGER_ASKED
           && (job->state != SPAWN_STATE_DONE || job->again);
}

static bool was_not_stored(const spawn_job *job)
{
    return job->due == SPAWN_DUE_THIS_TURN && job->store_error;
}

bool spawn_reply_waits_for_ledger(const spawn_job *job)
{
    return job->ledger && !job->in_store && !job->promised;
}

/* Store and ledger have the job, or will have: what was not stored is what
 * became of it since, and it stays. */
static bool is_kept(const spawn_owed *r)
{
    const spawn_job *job = r->job;

    return !r->done && job->ledger && job->in_store && !job->revived;
}

/* An end that was not stored is told when it is: another end may replace it. */
static bool waits(const spawn_owed *r)
{
    if (!was_not_stored(r->job))
        return is_asked(r->job);
    return spawn_reply_waits_for_ledger(r->job)
           || (is_kept(r) && (spawn_job_over(r->job) || is_asked(r->job)));
}

void spawn_replies_send(spawn_batch *batch)
{
    spawn_failure why;
    size_t i, kept = 0;

    for (i = 0; i < batch->owed_used; i++) {
        const spawn_owed *r = &batch->owed[i];

        if (!spawn_peer_open(r->peer))
            continue;
        if (r->job->rest || waits(r)) {
            batch->owed[kept++] = *r;
            continue;
        }
        r->peer->owed_count--;
        if (was_not_stored(r->job) && !is_kept(r)) {
            spawn_commit_refusal(r->job, &why);
            refuse(r, &why);
        }
        else if (r->kept) {
            spawn_peer_kept(r->peer, r->seq, &r->of, &r->job->id,
                            state_of(r->job));
        }
        else if (r->done) {
            spawn_peer_done(r->peer, r->seq, &r->job->id);
        }
        else {
            spawn_peer_accepted(r->peer, r->seq, &r->job->id, state_of(r->job));
        }
        spawn_peer_watch_what(r->peer);
    }
    batch->owed_used = kept;
}

void spawn_replies_refuse(const spawn_job *job, const spawn_failure *why)
{
    spawn_batch *b = job->batch;
    size_t i, kept = 0;

    for (i = 0; i < b->owed_used; i++) {
        const spawn_owed r = b->owed[i];

        if (r.job != job) {
            b->owed[kept++] = r;
            continue;
        }
        if (!spawn_peer_open(r.peer))
            continue;
        r.peer->owed_count--;
        refuse(&r, why);
        spawn_peer_watch_what(r.peer);
    }
    b->owed_used = kept;
}

/* ---- refusals that wait for the ledger ---- */

static void refuse_later(const spawn_job *job, spawn_peer *peer, uint32_t seq,
                         const spawn_id *told, const spawn_failure *why)
{
    spawn_batch *b = job->batch;

    b->refusals = spawn_array_grow(b->refusals, b->refusals_used,
                                   &b->refusals_room, sizeof(spawn_refusal));
    b->refusals[b->refusals_used++] = (spawn_refusal){
        .peer = peer, .seq = seq, .job = job->id, .told = *told, .why = *why};
}

void spawn_reply_refuse_later(spawn_peer *peer, uint32_t seq,
                              const spawn_job *job, const spawn_failure *why)
{
    peer->owed_count++;
    refuse_later(job, peer, seq, &job->id, why);
    spawn_peer_watch_what(peer);
}

void spawn_replies_refuse_later(const spawn_job *job, const spawn_failure *why)
{
    spawn_batch *b = job->batch;
    size_t i, kept = 0;

    for (i = 0; i < b->owed_used; i++) {
        const spawn_owed r = b->owed[i];

        if (r.job != job)
            b->owed[kept++] = r;
        else if (spawn_peer_open(r.peer)) {
            count_refusal(&r, why);
            refuse_later(job, r.peer, r.seq, r.kept ? &r.of : &job->id, why);
        }
    }
    b->owed_used = kept;
}

void spawn_replies_forgotten(spawn_batch *batch, const spawn_id *job)
{
    size_t i, kept = 0;

    for (i = 0; i < batch->refusals_used; i++) {
        const spawn_refusal r = batch->refusals[i];

        if (!spawn_id_equal(&r.job, job)) {
            batch->refusals[kept++] = r;
            continue;
        }
        if (!spawn_peer_open(r.peer))
            continue;
        r.peer->owed_count--;
        spawn_peer_refuse(r.peer, r.seq, &r.told, &r.why);
        spawn_peer_watch_what(r.peer);
    }
    batch->refusals_used = kept;
}

/* ---- the end of a turn ---- */

static void tidy_refusals(spawn_batch *batch)
{
    size_t i, kept = 0;

    for (i = 0; i < batch->refusals_used; i++) {
        if (spawn_peer_open(batch->refusals[i].peer))
            batch->refusals[kept++] = batch->refusals[i];
    }
    batch->refusals_used = kept;
}

void spawn_replies_tidy(spawn_batch *batch)
{
    size_t i, kept = 0;

    tidy_refusals(batch);

    for (i = 0; i < batch->owed_used; i++) {
        if (spawn_peer_open(batch->owed[i].peer))
            batch->owed[kept++] = batch->owed[i];
    }
    batch->owed_used = kept;
}
