/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REVIVE. Runs in the broker. Must begin nothing before the store says that the
 * job waits: so the job is one whose attempt has just ended (run/retry.h), and
 * what is written of it is another matter (store/attempts.h).
 */
#include "broker/caller/revive.h"

#include <errno.h>
#include <stdlib.h>

#include "common/spawn_retry.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/unique.h"
#include "broker/process/perl.h"
#include "broker/store/attempts.h"
#include "broker/store/store.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"
#include "broker/caller/access.h"
#include "broker/caller/reply.h"

static void refuse(spawn_peer *peer, const spawn_message *m, const spawn_id *id,
                   spawn_error code, const char *what)
{
    char text[SPAWN_ID_TEXT];
    spawn_failure why;

    spawn_failure_set(&why, code, SPAWN_STEP_CHECK, 0, "%s: %s", what,
                      spawn_id_format(id, text));
    spawn_peer_refuse(peer, m->header.seq, id, &why);
}

/* It is known, and is not dead. */
static void refuse_known(spawn_peer *peer, const spawn_message *m,
                         const spawn_id *id, bool open)
{
    refuse(peer, m, id, SPAWN_E_NOT_DEAD,
           open ? "the job has not ended"
                : "the job is not dead: it ended well, was cancelled, or was "
                  "submitted without retry");
}

static bool queue_takes(spawn_peer *peer, const spawn_message *m,
                        const char *name, const spawn_id *id)
{
    spawn_failure why;
    const spawn_queue *q = spawn_access_queue(peer, name, &why);

    if (q && spawn_queue_drained(q))
        spawn_failure_set(&why, SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE, 0,
                          "queue '%s' is drained and takes no jobs until "
                          "somebody calls 'spawnctl resume %s'",
                          name, name);
    else if (q && !spawn_queue_full(q))
        return true;
    else if (q)
        spawn_failure_set(&why, SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE, 0,
                          "queue '%s' is full: %u jobs run and %u wait", name,
                          q->busy, q->queued);
    spawn_peer_refuse(peer, m->header.seq, id, &why);
    return false;
}

/* The first one, too. */
static uint8_t attempts_of(const spawn_message *order)
{
    return (uint8_t)(spawn_retry_most(order) + 1);
}

/* How many attempts it has, says its order. 0, or -1: that cannot be read, and
 * so it could not be started either; or it is one that nobody checked; or it is
 * durable, and the ledger takes nothing. */
static int read_order(spawn_job *job, spawn_failure *why)
{
    spawn_body *read = spawn_store_body(job);
    spawn_failure ignored;
    spawn_message m;
    int rv = -1;

    if (spawn_body_read(job, read, &m, NULL) == 0)
        rv = spawn_retry_check(&m, &ignored);
    if (rv)
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_CHECK, 0,
                          "what it is to run cannot be read in the store");
    else
        job->retries = attempts_of(&m);
    if (rv == 0 && spawn_u64_or(&m, SPAWN_A_DURABLE, 0)) {
        rv = spawn_durable_check(why);
        job->ledger = SPAWN_IN_LEDGER_ASKED;
    }
    free(read);
    return rv;
}

/* In no queue yet. */
static spawn_job *make_job(spawn_batch *batch, const spawn_id *id,
                           const spawn_dead_row *r)
{
    spawn_job *job = spawn_job_new(batch, id);

    job->in_store = job->input_stored = true;
    job->seq = r->seq;
    job->digest = r->digest;
    job->submitted_at = r->submitted_at;
    job->caller_uid = r->caller_uid;
    job->caller_pid = r->caller_pid;
    job->attempt = (uint16_t)r->attempt;
    job->priority = (int8_t)r->priority;
    return job;
}

static void join(spawn_job *job, const spawn_dead_row *r)
{
    spawn_queue_join(job, r->queue);
    if (r->is_perl)
        spawn_perl_make(job, *r->template ? r->template : NULL);
    if (*r->unique) /* its on_conflict does not count: it was taken */
        spawn_claim_found(job, r->unique, &r->unique_until, false);
    spawn_pool_join(job);
}

static void wait_again(spawn_job *job)
{
    (void)spawn_end_job(job, SPAWN_OUTCOME_LOST);
    job->judged = job->again = job->revived = true;
    spawn_job_store_now(job);
    spawn_job_changed(job);
}

/* Since it was dead there were so many attempts. When these are more than those
 * of one revive, there was another one, and each before it had all of its own.
 */
static uint8_t attempts_left(const spawn_message *order, unsigned since)
{
    unsigned all = attempts_of(order);

    return (uint8_t)(all - since % all);
}

/* An attempt that may have begun is not begun again: another one follows, if
 * that is wanted of one that is lost. The ledger has the job already, or takes
 * it as it takes one that is tried again: nobody is asked whether it can. */
int spawn_revive_found(spawn_batch *batch, const spawn_durable_row *row)
{
    static const spawn_attempt_end lost = {.outcome = SPAWN_OUTCOME_LOST};
    const spawn_ledger_record *l = &row->record;
    bool ended = l->state == SPAWN_LEDGER_IS_ENDED;
    bool began = ended || l->state == SPAWN_LEDGER_IS_ORDERED;
    spawn_failure ignored;
    spawn_dead_row r;
    spawn_message m;
    spawn_job *job;
    uint8_t left;
    int rv = spawn_store_dead(batch->store, &l->id, &r);

    if (rv < 0)
        return -EIO;
    if (rv == 0 || !r.dead || r.attempt >= l->attempt)
        return 0;
    if (spawn_message_parse(row->message, l->length, SPAWN_FROM_CALLER, 0, &m,
                            &ignored)
        || spawn_retry_check(&m, &ignored))
        return -EBADMSG;
    if (began && !ended && !spawn_retry_applies(&m, &lost))
        return 0;
    left = attempts_left(&m, began ? l->attempt - r.attempt
                                   : l->attempt - r.attempt - 1);
    if (began && !ended && left == attempts_of(&m))
        return 0; /* it was the last one */
    r.attempt = began ? l->attempt : l->attempt - 1;
    job = make_job(batch, &l->id, &r);
    job->retries = left;
    job->promised = true;
    job->ledger = began ? SPAWN_IN_LEDGER_ORDERED : SPAWN_IN_LEDGER_WAITS;
    join(job, &r);
    if (!began && l->due_at)
        spawn_moment_at(&spawn_rules_get(job)->due, spawn_ledger_due(l));
    if (ended)
        job->revived = true;
    else
        wait_again(job);
    return 1;
}

void spawn_revive(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                  const spawn_id *id)
{
    spawn_batch *batch = peer->batch;
    spawn_failure why;
    spawn_dead_row r;
    spawn_job *job;
    int rv;

    (void)p;
    if (spawn_job_find(id)) {
        refuse_known(peer, m, id, true);
        return;
    }
    rv = spawn_store_dead(batch->store, id, &r);
    if (rv < 0) {
        refuse(peer, m, id, SPAWN_E_STORE, "the store could not be read");
        return;
    }
    if (rv == 0) {
        refuse(peer, m, id, SPAWN_E_NO_SUCH_JOB,
               "no job with this id is known");
        return;
    }
    if (!r.dead) {
        refuse_known(peer, m, id, false);
        return;
    }
    if (!queue_takes(peer, m, r.queue, id))
        return;
    job = make_job(batch, id, &r);
    if (read_order(job, &why)) {
        spawn_job_free(job);
        refuse(peer, m, id, why.code, why.text);
        return;
    }
    join(job, &r);
    wait_again(job);
    spawn_reply_done(peer, m->header.seq, job);
}
