/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking in a job: the id, the slot of the inbox, the queue. Runs in the
 * broker. A job must not run again under an id that was taken once.
 */
#include "broker/caller/take.h"

#include <errno.h>
#include <string.h>

#include "common/spawn_check.h"
#include "common/spawn_log.h"
#include "broker/base/alloc.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/process/link.h"
#include "broker/process/ticket.h"
#include "broker/store/commit.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"
#include "broker/caller/access.h"
#include "broker/caller/admit.h"
#include "broker/caller/ask.h"
#include "broker/caller/check.h"
#include "broker/caller/courtesy.h"
#include "broker/caller/doubt.h"
#include "broker/caller/inbox.h"
#include "broker/caller/offer.h"
#include "broker/caller/reply.h"
#include "broker/caller/waiter.h"

#define REFUSE(code, step, ...)                                                \
    do {                                                                       \
        spawn_failure_set(why, code, step, 0, __VA_ARGS__);                    \
        return -1;                                                             \
    } while (0)

/* ---- an id that is known ---- */

static void wait_for(const spawn_incoming *in, spawn_job *job, uint8_t want)
{
    spawn_wait wait = {.want = want,
                       .output = want == SPAWN_REPLY_FINISHED
                                     ? SPAWN_OUTPUT_RUN
                                     : SPAWN_OUTPUT_NONE,
                       .submit = true};
    spawn_ask *ask;

    if (job && !spawn_wait_is_over(job, want)) {
        if (spawn_u64_or(in->m, SPAWN_A_WANT, 0) & SPAWN_WANT_EARLY
            && !job->claim) /* a caller that is told may come again */
            wait.want = SPAWN_WAIT_RETURNED;
        spawn_waiter_add(in->peer, in->m->header.seq, job, &wait);
        return;
    }
    if (job)
        spawn_job_store_now(job); /* it is the store that answers */
    ask = spawn_alloc(sizeof(*ask));
    ask->seq = in->m->header.seq;
    ask->id = in->id;
    ask->output = wait.output;
    if (!job)
        spawn_waiter_ask(ask, &wait);
    spawn_peer_ask(in->peer, ask);
}

static void answer_known(const spawn_incoming *in, spawn_job *job,
                         spawn_state state)
{
    spawn_reply want =
        (spawn_reply)spawn_u64_or(in->m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    uint32_t seq = in->m->header.seq;

    if (!in->peer)
        return;
    if (want == SPAWN_REPLY_STARTED || want == SPAWN_REPLY_FINISHED) {
        wait_for(in, job, (uint8_t)want);
    }
    else if (job) {
        if (job->lent || !job->slot)
            spawn_job_store_now(job); /* nothing else keeps the promise */
        spawn_reply_accepted(in->peer, seq, job);
    }
    else {
        spawn_peer_accepted(in->peer, seq, &in->id, state);
    }
}

static spawn_body *copy_body(const spawn_incoming *in, spawn_failure *why)
{
    spawn_body *body = spawn_body_new(in->attrs, in->length);

    if (!body)
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CHECK, ENOMEM,
                          "no memory for the job");
    return body;
}

/* Nobody knows what has become of it: it may have run, and the history says so,
 * and a caller is told, if there is one. NULL: refused. */
static spawn_job *is_lost(const spawn_incoming *in, const char *text,
                          spawn_failure *why)
{
    spawn_body *body = copy_body(in, why);
    spawn_job *job;

    if (!body)
        return NULL;
    job = spawn_incoming_job(in, body);
    job->ledger = SPAWN_IN_LEDGER_NOT; /* which has no such calls */
    job->may_have_run = true;
    spawn_rules_take(job, in->m, spawn_incoming_since(in));
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_LOST), "%s", text);
    answer_known(in, job, SPAWN_STATE_DONE);
    return job;
}

/* It was sent to a worker directly, and nothing is known of that one any more:
 * broker and spawner have gone since. A queue that is full or drained is no
 * reason to refuse it; any other refusal says that it may have run (doubt.h).
 */
static int may_have_run(const spawn_incoming *in, spawn_failure *why)
{
    if (spawn_incoming_may_be(in, why))
        return -1;
    return is_lost(in,
                   "it was sent to a worker, and worker, broker and spawner "
                   "have gone since: whether it has run is not known",
                   why)
               ? 1
               : -1;
}

static int has_ended(const spawn_incoming *in, spawn_failure *why)
{
    spawn_job *job = is_lost(in,
                             "it has ended, as another caller was told, and "
                             "the store has no record of that",
                             why);

    if (!job) {
        if (in->peer) /* others come again after this code */
            spawn_doubt(why);
        return -1;
    }
    job->judged = true; /* it is not tried again: its end was told */
    job->untaken = true;
    return 1;
}

/* Is its end what it comes for? Of a post nobody is answered, so the history
 * says it: whoever was told may have gone before he heard that. */
static bool wants_its_end(const spawn_incoming *in)
{
    return !in->peer
           || spawn_u64_or(in->m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED)
                  >= SPAWN_REPLY_STARTED;
}

/* One that the store has is none: its broker was killed just then. */
static const spawn_unrecorded *unrecorded(const spawn_incoming *in)
{
    const spawn_unrecorded *ret = spawn_unrecorded_find(&in->id);
    spawn_known unused;

    if (!ret || spawn_store_find(in->batch->store, &in->id, &unused) != 1)
        return ret;
    spawn_unrecorded_drop(&in->id);
    return NULL;
}

/* 1: it is known (and answered); 0: it is new; -1: refused. */
static int check_known(const spawn_incoming *in, spawn_failure *why)
{
    const spawn_unrecorded *ended = NULL;
    spawn_known known;
    spawn_job *job;
    int rv = 1;

    spawn_leases_look(&in->id); /* a worker that is lent may have run it */
    job = spawn_job_find(&in->id);
    if (job) {
        known = (spawn_known){.digest = job->digest,
                              .state = (spawn_state)job->state};
    }
    else if ((ended = unrecorded(in))) {
        known =
            (spawn_known){.digest = ended->digest, .state = SPAWN_STATE_DONE};
    }
    else if (spawn_pool_has_unknown(&in->id)) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "a worker has it, which the store does not know, and "
                          "the ledger is not read yet");
        if (in->peer) /* others come again after this code */
            spawn_doubt(why);
        return -1;
    }
    else if (spawn_recent_is_new(in->batch->store, &in->id)) {
        return 0;
    }
    else {
        rv = spawn_store_find(in->batch->store, &in->id, &known);
    }
    if (rv < 0) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store could not be read");
        if (in->peer)
            spawn_doubt(why);
        return -1;
    }
    if (rv == 0)
        return 0;
    if (known.digest != in->digest)
        REFUSE(SPAWN_E_CONFLICT, SPAWN_STEP_CHECK,
               "another job with this id is known");
    if (in->peer && spawn_access_check_known(in->peer, &in->id, why))
        return -1;
    if (ended && wants_its_end(in))
        return has_ended(in, why);
    answer_known(in, job, known.state);
    return 1;
}

/* ---- taking it ---- */

/* The handles of a job become ours. */
static void keep_handles(spawn_job *job, spawn_packet *p)
{
    unsigned count = p->fds_count;

    if (count == 0)
        return;
    job->held = spawn_alloc(sizeof(*job->held) + count * sizeof(int));
    job->held->count = count;
    memcpy(job->held->fds, p->fds, count * sizeof(int));
    p->fds_count = 0;
}

/* Until the job is launched they are the spawner's too, which gives them to the
 * broker that follows a killed one. So this comes before anything by which that
 * broker would find the job. */
static void have_held(const spawn_incoming *in)
{
    if (in->packet && in->packet->fds_count > 0)
        spawn_link_hold(&in->id, in->packet->fds, in->packet->fds_count);
}

/* Only processes hold handles: when httpd stops before the job has started,
 * they are closed. */
static void warn_of_handles(const spawn_job *job)
{
    const spawn_queue *q = job->queue;
    char name[SPAWN_LOGS_NAME];

    if (job->fds == 0 || (!spawn_queue_taken(q) && q->queued == 0))
        return;
    spawn_log_few(
        spawn_log_about("queue", q->name), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
        MSNO(0670) "job %s has to wait in queue %s with %u handles of "
                   "its caller: if httpd is stopped before it starts "
                   "they are lost and it fails; data and paths are "
                   "not lost",
        spawn_body_name(job, job->body, name), q->name, job->fds);
}

/* The reply that the caller waits for. A job that was posted or spooled has no
 * caller any more. */
static spawn_reply reply_of(const spawn_incoming *in)
{
    return in->peer ? (spawn_reply)spawn_u64_or(in->m, SPAWN_A_REPLY,
                                                SPAWN_REPLY_ACCEPTED)
                    : SPAWN_REPLY_ACCEPTED;
}

/* Can a slot of the inbox keep it until it is stored? A post has one, and a job
 * of the spool a file. */
static bool fits_a_slot(const spawn_packet *p)
{
    return p && !p->map;
}

/* A caller need not wait for the commit then, nor for anything else that is
 * done for its job. Nothing can fail after it. */
static unsigned accept_first(const spawn_incoming *in)
{
    uint32_t seq = in->m->header.seq;
    unsigned slot;

    if (reply_of(in) != SPAWN_REPLY_ACCEPTED || spawn_admit_ordered(in->m)
        || spawn_commit_failing(in->batch->store))
        return 0;
    slot = spawn_inbox_put(in->packet->data, in->packet->length);
    if (slot) {
        spawn_peer_accepted(in->peer, seq, &in->id, SPAWN_STATE_QUEUED);
        spawn_courtesy_accepted(seq,
                                spawn_queue_find(spawn_incoming_queue(in)));
    }
    return slot;
}

/* A caller that waits for the end is promised nothing before the launch: the
 * slot counts as full from then on. */
static void lend_slot(const spawn_incoming *in, spawn_job *job)
{
    job->slot = (uint8_t)spawn_inbox_lend(in->packet->data, in->packet->length);
    job->lent = job->slot != 0;
}

/* Where the next broker finds it, if it runs unstored: changes.h */
static void keep_until_stored(const spawn_incoming *in, spawn_job *job,
                              bool fits)
{
    bool pooled = job->perl && job->perl->pooled;
    spawn_reply reply = reply_of(in);

    if (spawn_incoming_delayed(in)
        || spawn_admit_ordered(in->m)) /* it is stored long before it runs */
        return;
    if (pooled && reply == SPAWN_REPLY_FINISHED) { /* a slot comes with it */
        spawn_offer_called(in->peer);
        if (spawn_ticket_fits(job->body))
            spawn_job_may_run_unstored(job);
        return;
    }
    if (spawn_commit_failing(in->batch->store))
        return;
    if (fits && reply == SPAWN_REPLY_FINISHED)
        lend_slot(in, job);
    if (job->slot && !pooled)
        spawn_job_may_run_unstored(job);
}

/* It waits in no lane, and its caller for an answer, until the ledger has it.
 */
static void take_durable(const spawn_incoming *in, spawn_body *body)
{
    spawn_job *job = spawn_incoming_job(in, body);

    spawn_rules_take(job, in->m, spawn_incoming_since(in));
    spawn_admit(job, in->m);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_durable_put(job, in->attrs - SPAWN_WIRE_HEADER,
                      in->length + SPAWN_WIRE_HEADER);
    answer_known(in, job, SPAWN_STATE_QUEUED);
}

/* Another job is there. Of what was posted or spooled the history says so. */
static int keep_other(const spawn_incoming *in, const spawn_admit_other *other,
                      spawn_failure *why)
{
    char text[SPAWN_ID_TEXT];
    spawn_body *body;
    spawn_job *job;

    if (in->peer && other->job) {
        spawn_reply_kept(in->peer, in->m->header.seq, &in->id, other->job);
        return 0;
    }
    if (in->peer) {
        spawn_peer_kept(in->peer, in->m->header.seq, &in->id, &other->id,
                        SPAWN_STATE_DONE);
        return 0;
    }
    body = copy_body(in, why);
    if (!body)
        return -1;
    job = spawn_incoming_job(in, body);
    job->told = true; /* its caller wants that */
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_CANCELLED),
                  "job %s, which has the same unique key, is kept",
                  spawn_id_format(&other->id, text));
    return 0;
}

/* It is a job from now on. The body is taken over. */
static void take_in(const spawn_incoming *in, spawn_body *body)
{
    bool fits = fits_a_slot(in->packet);
    spawn_job *job;
    unsigned slot;

    have_held(in);
    slot = fits ? accept_first(in) : 0;
    job = spawn_incoming_job(in, body);
    spawn_rules_take(job, in->m, spawn_incoming_since(in));
    if (slot)
        job->slot = (uint8_t)slot;
    if (in->packet)
        keep_handles(job, in->packet);
    keep_until_stored(in, job, fits);
    warn_of_handles(job);
    spawn_admit(job, in->m);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    if (in->first)
        spawn_job_store_first(job);
    spawn_job_changed(job);
    spawn_admitted(job, in->m);
    if (!slot)
        answer_known(in, job, SPAWN_STATE_QUEUED);
}

/* Then no other reason may say that it was not taken. */
static bool only_ledger_may_know(const spawn_incoming *in)
{
    return spawn_incoming_durable(in) && (in->peer || in->own)
           && spawn_durable_unread();
}

int spawn_take(const spawn_incoming *in, spawn_failure *why)
{
    spawn_admit_other other;
    spawn_body *body;
    int rv;

    if (spawn_job_check(in->m, why) < 0)
        return -1;
    if (spawn_incoming_feigned(in))
        REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
               "failure_of: only the broker says that of a job");
    if (spawn_admit_account(spawn_incoming_queue(in), in->m, why))
        return -1;
    if (in->peer)
        spawn_admit_posts(in->m);
    rv = check_known(in, why);
    if (rv)
        return rv;
    if (only_ledger_may_know(in) && spawn_durable_check(why))
        return -1;
    if (in->peer && in->peer->lease_lost)
        return may_have_run(in, why);
    if (spawn_incoming_check(in, why))
        return -1;
    rv = spawn_admit_check(in->batch, in->m, spawn_incoming_queue(in), in->peer,
                           &other, why);
    if (rv)
        return rv < 0 ? rv : keep_other(in, &other, why);
    if (spawn_incoming_drained(in, why))
        return -1;
    body = copy_body(in, why);
    if (!body)
        return -1;
    if (spawn_incoming_durable(in))
        take_durable(in, body);
    else
        take_in(in, body);
    return 0;
}
