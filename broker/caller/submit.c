/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways by which a job comes: from a caller, as a post, from the spool, and
 * from the broker itself. Runs in the broker, on hostile bytes. The reason why
 * a posted job is refused goes to the log and to the store, since nobody waits
 * for an answer.
 */
#include "broker/caller/submit.h"

#include <errno.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/store/store.h"
#include "broker/run/end.h"
#include "broker/caller/doubt.h"
#include "broker/caller/incoming.h"
#include "broker/caller/stop.h"
#include "broker/caller/take.h"

#define REFUSALS_TOLD 30 /* lines a minute and queue */

void spawn_submit(spawn_peer *peer, const spawn_message *m, spawn_packet *p)
{
    spawn_incoming in = {.batch = peer->batch, .peer = peer, .packet = p};
    spawn_failure why;

    spawn_incoming_fill(&in, m, p->data, p->length);
    if (spawn_stop_check(peer, m, &why) < 0 || spawn_take(&in, &why) < 0) {
        spawn_doubt_refused(peer, &why);
        spawn_queue_refused(spawn_incoming_queue(&in), why.code);
        spawn_peer_refuse(peer, m->header.seq, &in.id, &why);
        return;
    }
    spawn_stop_with(peer, &in.id);
}

/* A store that can never keep durable jobs says so (run/durable.c). */
bool spawn_refusal_passes(const spawn_failure *why)
{
    return why->code == SPAWN_E_QUEUE_FULL || why->code == SPAWN_E_SYSTEM
           || (why->code == SPAWN_E_STORE && why->error != ENOTSUP);
}

/* ---- posts ---- */

/* A refused post becomes a job that could not be started. */
static spawn_job *record_refusal(const spawn_incoming *in,
                                 const spawn_failure *why)
{
    spawn_known known;
    spawn_body *body;
    spawn_job *job;

    if (!spawn_id_valid(&in->id)
        || !spawn_queue_name_ok(spawn_incoming_queue(in))
        || spawn_job_find(&in->id)
        || spawn_store_find(in->batch->store, &in->id, &known) != 0)
        return NULL;
    body = spawn_body_new(in->attrs, in->length);
    if (!body)
        return NULL;
    job = spawn_incoming_job(in, body);
    job->ledger = SPAWN_IN_LEDGER_NOT; /* which never had it */
    spawn_end_start_failed(job, why->step, why->error, why->text);
    job->judged = true; /* nor would it be taken when it is tried again */
    job->told = true;   /* the refusal is in the log */
    return job;
}

/* A broker after us must not run what the log calls refused, though its queue
 * has room by then: as of a job whose end was told, and no spawner was sent its
 * order (recover.c). */
static void note_refusal(spawn_job *job)
{
    spawn_inbox_note note = {.id = job->id,
                             .digest = job->digest,
                             .submitted_at = job->submitted_at,
                             .caller_uid = job->caller_uid,
                             .caller_pid = job->caller_pid,
                             .attempt = (uint8_t)job->attempt,
                             .over = true,
                             .end = *job->end};

    note.end.text = NULL;
    job->launched = job->may_run_unstored = true;
    spawn_inbox_launched(job->slot, &note);
}

static void tell_refusal(const spawn_incoming *in, const spawn_failure *why)
{
    char name[SPAWN_LOGS_NAME];

    spawn_queue_refused(spawn_incoming_queue(in), why->code);
    spawn_log_to(spawn_logs_find(spawn_logs_vhost(in->m)));
    spawn_log_few(
        spawn_log_about("queue", spawn_incoming_queue(in)), REFUSALS_TOLD,
        SPAWN_LOG_ERR,
        MSNO(0560) "posted job %s (queue %.64s, %.80s) is refused: %s: %s",
        spawn_logs_name(&in->id, in->m, name), spawn_incoming_queue(in),
        spawn_logs_what(in->m), spawn_error_name(why->code), why->text);
    spawn_log_to(NULL);
}

static void refuse_post(const spawn_incoming *in, const spawn_failure *why)
{
    spawn_job *job = record_refusal(in, why);

    if (job)
        note_refusal(job);
    tell_refusal(in, why);
    if (!job)
        spawn_inbox_free(in->slot);
}

/* Its order was sent, or its end was told before it is stored: what comes by
 * another way must not have it run, not even when the store never takes it. */
static bool has_gone_on(const spawn_job *job)
{
    return job->launched
           || (job->state == SPAWN_STATE_DONE && !job->slot && job->told);
}

/* The job was stored before a broker was killed; or the store did not take it
 * and this is the next try; or it was submitted again meanwhile and is not
 * stored yet: then the slot keeps that one. */
static void known_already(const spawn_incoming *in)
{
    spawn_job *job = spawn_job_find(&in->id);

    if (job && job->slot == in->slot)
        spawn_job_changed(job);
    else if (!job || job->in_store || has_gone_on(job))
        spawn_inbox_free(in->slot);
    else if (!job->slot)
        job->slot = (uint8_t)in->slot;
    else if (job->lent)
        spawn_inbox_retry(in->slot); /* that one may be refused */
    else
        spawn_inbox_free(in->slot);
}

void spawn_submit_post(spawn_batch *batch, unsigned slot, const void *data,
                       size_t length, unsigned fds, const spawn_sender *from,
                       bool left)
{
    spawn_incoming in = {.batch = batch,
                         .slot = slot,
                         .left = left,
                         .uid = from ? from->uid : geteuid(),
                         .pid = from ? from->pid : 0};
    spawn_message m;
    spawn_failure why;
    int rv;

    if (fds > 0) /* its words about them do not matter */
        rv = spawn_message_parse(data, length, SPAWN_FROM_POST, fds, &m, &why);
    else
        rv = spawn_inbox_parse(data, length, !from, &m, &why);
    if (rv < 0) {
        spawn_log_few(
            "httpd's children", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
            MSNO(0561) "a posted message is not understood and dropped: "
                       "%s",
            why.text);
        spawn_inbox_free(slot);
        return;
    }
    spawn_incoming_fill(&in, &m, data, length);
    rv = spawn_take(&in, &why);
    if (rv < 0 && why.code == SPAWN_E_STORE) /* it cannot be looked up now */
        spawn_inbox_retry(slot);
    else if (rv < 0 && why.code == SPAWN_E_NO_SUCH_JOB
             && spawn_inbox_goes_behind(slot))
        return;
    else if (rv < 0)
        refuse_post(&in, &why);
    else if (rv == 1)
        known_already(&in);
}

/* ---- the spool ---- */

/* The job is known, and is not stored yet: the file keeps it until then. So
 * does that of one which was refused when it was read before. */
static bool file_keeps(const spawn_id *id)
{
    spawn_job *job = spawn_job_find(id);

    if (!job || job->in_store)
        return false;
    if (job->spooled)
        return true;
    if (has_gone_on(job))
        return false;
    job->may_run_unstored = false; /* of the file it would run again */
    spawn_job_store_now(job);
    job->spooled = true;
    return true;
}

spawn_spool_result spawn_submit_spooled(spawn_batch *batch, const spawn_id *id,
                                        const void *data, size_t length,
                                        uid_t uid, spawn_spool_waits *ret_waits,
                                        spawn_failure *why)
{
    spawn_incoming in = {.batch = batch, .spooled = true, .uid = uid};
    spawn_message m;
    int rv;

    if (spawn_message_parse(data, length, SPAWN_FROM_CALLER, 0, &m, why))
        return SPAWN_SPOOLED_BAD;
    if (!spawn_incoming_is(&m, id)) {
        spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_CHECK, 0,
                          "it does not hold the job that its name says");
        return SPAWN_SPOOLED_BAD;
    }
    spawn_incoming_fill(&in, &m, data, length);
    rv = spawn_take(&in, why);
    if (rv == 0 || (rv == 1 && file_keeps(id)))
        return SPAWN_SPOOLED_TAKEN;
    if (rv == 1)
        return SPAWN_SPOOLED_KNOWN;
    if (spawn_refusal_passes(why)
        || (why->code == SPAWN_E_NO_SUCH_JOB && spawn_inbox_waits())) {
        if (why->code == SPAWN_E_QUEUE_FULL)
            (void)snprintf(ret_waits->queue, sizeof(ret_waits->queue), "%s",
                           spawn_incoming_queue(&in));
        ret_waits->delayed = spawn_incoming_delayed(&in);
        return SPAWN_SPOOLED_LATER;
    }
    tell_refusal(&in, why);
    return record_refusal(&in, why) ? SPAWN_SPOOLED_TAKEN : SPAWN_SPOOLED_BAD;
}

/* ---- our own ---- */

static int submit(spawn_incoming *in, const void *data, size_t length,
                  bool record, spawn_failure *why)
{
    spawn_message m;
    int rv;

    if (spawn_message_parse(data, length, SPAWN_FROM_CALLER, 0, &m, why))
        return SPAWN_OWN_REFUSED;
    spawn_incoming_fill(in, &m, data, length);
    rv = spawn_take(in, why);
    if (rv >= 0)
        return rv ? SPAWN_OWN_KNOWN : SPAWN_OWN_TAKEN;
    return record && !spawn_refusal_passes(why) && record_refusal(in, why)
               ? SPAWN_OWN_RECORDED
               : SPAWN_OWN_REFUSED;
}

int spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                     bool record, spawn_failure *why)
{
    spawn_incoming in = {
        .batch = batch, .own = true, .uid = geteuid(), .pid = getpid()};

    return submit(&in, data, length, record, why);
}

int spawn_submit_shared(spawn_batch *batch, const void *data, size_t length,
                        const char *origin, spawn_failure *why)
{
    spawn_incoming in = {.batch = batch,
                         .own = true,
                         .left = true,
                         .origin = origin,
                         .uid = geteuid(),
                         .pid = getpid()};

    return submit(&in, data, length, true, why);
}
