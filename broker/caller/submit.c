/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking in a job: checks, the id, the queue. Runs in the broker, on hostile
 * bytes. The reason why a posted job is refused goes to the log and to the
 * store, since nobody waits for an answer. A job must not run again under an id
 * that was taken once.
 */
#include "broker/caller/submit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_check.h"
#include "common/spawn_digest.h"
#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "common/spawn_retry.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/defaults.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/link.h"
#include "broker/process/perl.h"
#include "broker/process/ticket.h"
#include "broker/process/worker.h"
#include "broker/store/commit.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"
#include "broker/caller/admit.h"
#include "broker/caller/ask.h"
#include "broker/caller/courtesy.h"
#include "broker/caller/inbox.h"
#include "broker/caller/offer.h"
#include "broker/caller/reply.h"
#include "broker/caller/waiter.h"

#define REFUSALS_TOLD  30    /* lines a minute and queue */
#define AHEAD_OF_CLOCK 60000 /* ms that an id's time may be ahead */

/* Where a job comes from: peer and packet, or slot, or spool. */
typedef struct {
    spawn_batch *batch; /* that it goes into */
    spawn_peer *peer;
    spawn_packet *packet;
    unsigned slot;
    bool spooled;
    bool left; /* a broker before us has taken it */
    uid_t uid; /* who wrote it, where there is no peer */
    pid_t pid; /* 0: not known */
    const spawn_message *m;
    const uint8_t *attrs;
    size_t length;
    spawn_id id;
    uint64_t digest;
} incoming;

#define REFUSE(code, step, ...)                                                \
    do {                                                                       \
        spawn_failure_set(why, code, step, 0, __VA_ARGS__);                    \
        return -1;                                                             \
    } while (0)

static const char *queue_of(const incoming *in)
{
    return spawn_str_or(in->m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE);
}

/* ---- checks ---- */

/* Not for the inbox or the spool: a message lies there as long as its job is
 * not stored, so the job has not run. */
static int check_time(const incoming *in, spawn_failure *why)
{
    if (!in->peer)
        return 0;
    if (spawn_id_time(&in->id) > (uint64_t)spawn_wall_ms() + AHEAD_OF_CLOCK)
        REFUSE(SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK,
               "the id's time lies more than a minute in the future: it is "
               "wrong, or the clock was set back since the id was made; submit "
               "with a new id");
    if (spawn_store_forgotten(in->batch->store, &in->id))
        REFUSE(SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK,
               "the id is older than the kept history: whether its job has "
               "run is not known");
    return 0;
}

/* Since when it is submitted: who posted it made its id then. Its rules count
 * from there. */
static int64_t taken_since(const incoming *in)
{
    int64_t now = spawn_wall_ms(), made = (int64_t)spawn_id_time(&in->id);

    return in->peer || made > now ? now : made;
}

static bool is_delayed(const incoming *in)
{
    return spawn_rules_delay(in->m, taken_since(in));
}

/* What was taken once may have been told to somebody: it is not refused because
 * the queue has become full, or smaller, since. */
static int check_queue(const incoming *in, spawn_failure *why)
{
    const char *name = queue_of(in);
    const spawn_queue *q = spawn_queue_known(name, why);

    if (!q)
        return -1;
    if (is_delayed(in)) {
        if (in->left || !spawn_queue_full_of_delayed(q))
            return 0;
        REFUSE(SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE,
               "queue '%s' has %u jobs that wait for their time, and %u whose "
               "time has come and that have not started: as many as "
               "SpawnMaxDelayed lets it have",
               name, q->delayed, q->came);
    }
    if (!in->left && spawn_queue_full(q))
        REFUSE(SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE,
               "queue '%s' is full: %u jobs run and %u wait", name, q->busy,
               q->queued);
    return 0;
}

/* What was taken once gets what its queue lets it have when it starts. */
static int check_limits(const incoming *in, spawn_failure *why)
{
    return in->left ? 0
                    : spawn_defaults_allow(spawn_queue_find(queue_of(in)),
                                           in->m, why);
}

static int check_template(const spawn_message *m, const char *queue,
                          spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(queue);
    const char *name = spawn_str_or(m, SPAWN_A_TEMPLATE, q->template->name);
    const spawn_template *t = spawn_template_find(name);
    char names[200];

    if (!spawn_has(m, SPAWN_A_FUNCTION) || (t && spawn_template_configured(t)))
        return 0;
    spawn_template_names(names, sizeof(names));
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
           "template '%s' is not configured; configured: %s", name, names);
}

/* ---- an id that is known ---- */

static void answer_known(const incoming *in, spawn_job *job, spawn_state state)
{
    spawn_reply want =
        (spawn_reply)spawn_u64_or(in->m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    bool wait = want == SPAWN_REPLY_STARTED || want == SPAWN_REPLY_FINISHED;
    uint8_t output =
        want == SPAWN_REPLY_FINISHED ? SPAWN_OUTPUT_RUN : SPAWN_OUTPUT_NONE;
    uint32_t seq = in->m->header.seq;
    spawn_ask *ask;

    if (!in->peer)
        return;
    if (!wait && job) {
        if (job->lent || !job->slot)
            spawn_job_store_now(job); /* nothing else keeps the promise */
        spawn_reply_accepted(in->peer, seq, job);
    }
    else if (!wait) {
        spawn_peer_accepted(in->peer, seq, &in->id, state);
    }
    else if (job && !spawn_wait_is_over(job, want)) {
        spawn_waiter_add(in->peer, seq, job,
                         spawn_u64_or(in->m, SPAWN_A_WANT, 0) & SPAWN_WANT_EARLY
                                 && !job->claim /* who is told may come again */
                             ? SPAWN_WAIT_RETURNED
                             : want,
                         output, 0);
    }
    else {
        if (job)
            spawn_job_store_now(job); /* it is the store that answers */
        ask = spawn_alloc(sizeof(*ask));
        ask->seq = seq;
        ask->id = in->id;
        ask->output = output;
        spawn_peer_ask(in->peer, ask);
    }
}

/* 1: it is known (and answered); 0: it is new; -1: refused. */
static int check_known(const incoming *in, spawn_failure *why)
{
    spawn_known known;
    spawn_job *job;
    int rv = 1;

    spawn_leases_look(&in->id); /* a worker that is lent may have run it */
    job = spawn_job_find(&in->id);
    if (job) {
        known = (spawn_known){.digest = job->digest,
                              .state = (spawn_state)job->state};
    }
    else if (spawn_recent_is_new(in->batch->store, &in->id)) {
        return 0;
    }
    else {
        rv = spawn_store_find(in->batch->store, &in->id, &known);
    }
    if (rv < 0)
        REFUSE(SPAWN_E_STORE, SPAWN_STEP_STORE, "the store could not be read");
    if (rv == 0)
        return 0;
    if (known.digest != in->digest)
        REFUSE(SPAWN_E_CONFLICT, SPAWN_STEP_CHECK,
               "another job with this id is known");
    answer_known(in, job, known.state);
    return 1;
}

/* ---- taking it ---- */

static bool is_durable(const incoming *in)
{
    return spawn_u64_or(in->m, SPAWN_A_DURABLE, 0) != 0;
}

/* Takes the body over. */
static spawn_job *make_job(const incoming *in, spawn_body *body)
{
    spawn_job *job = spawn_job_new(in->batch, &in->id);

    job->body = body;
    job->digest = in->digest;
    job->submitted_at = taken_since(in); /* what it expires after, too */
    job->caller_uid = in->peer ? in->peer->uid : in->uid;
    job->caller_pid = in->peer ? in->peer->pid : in->pid;
    job->slot = (uint8_t)in->slot;
    job->spooled = in->spooled;
    job->retries = (uint8_t)spawn_retry_most(in->m);
    if (is_durable(in))
        job->ledger = SPAWN_IN_LEDGER_ASKED;
    spawn_admit_priority(job, in->m);
    spawn_queue_join(job, queue_of(in));
    if (spawn_has(in->m, SPAWN_A_FUNCTION)) {
        spawn_perl_make(job,
                        spawn_has(in->m, SPAWN_A_TEMPLATE)
                            ? spawn_attr_str(&in->m->attr[SPAWN_A_TEMPLATE])
                            : NULL);
        job->perl->pooled = spawn_pool_serves(job->queue, in->m);
    }
    return job;
}

/* The handles of a job become ours and, until it is launched, the spawner's
 * too, which gives them to the broker that follows a killed one. */
static void hold(spawn_job *job, spawn_packet *p)
{
    unsigned count = p->fds_count;

    if (count == 0)
        return;
    job->held = spawn_alloc(sizeof(*job->held) + count * sizeof(int));
    job->held->count = count;
    memcpy(job->held->fds, p->fds, count * sizeof(int));
    p->fds_count = 0;
    job->fds = (uint8_t)count;
    spawn_link_hold(&job->id, job->held->fds, count);
}

/* Only processes hold handles: when httpd stops before the job has started,
 * they are closed. */
static void warn_of_handles(const spawn_job *job)
{
    const spawn_queue *q = job->queue;
    char name[SPAWN_LOGS_NAME];

    if (job->fds == 0 || (q->busy < q->max_jobs && q->queued == 0))
        return;
    spawn_log_few(
        spawn_log_about("queue", q->name), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
        MSNO(0670) "job %s has to wait in queue %s with %u handles of "
                   "its caller: if httpd is stopped before it starts "
                   "they are lost and it fails; data and paths are "
                   "not lost",
        spawn_body_name(job, job->body, name), q->name, job->fds);
}

/* What the caller waits for. Who posted or spooled is there no more. */
static spawn_reply reply_of(const incoming *in)
{
    return in->peer ? (spawn_reply)spawn_u64_or(in->m, SPAWN_A_REPLY,
                                                SPAWN_REPLY_ACCEPTED)
                    : SPAWN_REPLY_ACCEPTED;
}

/* Can a slot of the inbox keep it until it is stored? A post has one, and a job
 * of the spool a file. */
static bool fits_a_slot(const spawn_packet *p)
{
    return p && !p->map && p->fds_count == 0;
}

/* A caller need not wait for the commit then, nor for anything else that is
 * done for its job. Nothing can fail after it. */
static unsigned accept_first(const incoming *in)
{
    uint32_t seq = in->m->header.seq;
    unsigned slot;

    if (reply_of(in) != SPAWN_REPLY_ACCEPTED || spawn_admit_ordered(in->m)
        || spawn_commit_failing(in->batch->store))
        return 0;
    slot = spawn_inbox_put(in->packet->data, in->packet->length);
    if (slot) {
        spawn_peer_accepted(in->peer, seq, &in->id, SPAWN_STATE_QUEUED);
        spawn_courtesy_accepted(seq, spawn_queue_find(queue_of(in)));
    }
    return slot;
}

/* Who waits for the end is promised nothing until the launch. */
static void lend_slot(const incoming *in, spawn_job *job)
{
    job->slot = (uint8_t)spawn_inbox_lend(in->packet->data, in->packet->length);
    job->lent = job->slot != 0;
}

/* Where the next broker finds it, if it runs unstored: changes.h */
static void keep_until_stored(const incoming *in, spawn_job *job, bool fits)
{
    bool pooled = job->perl && job->perl->pooled;
    spawn_reply reply = reply_of(in);

    if (is_delayed(in)
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

/* Each is a descriptor of broker and spawner until the job starts. */
static int check_handles(const incoming *in, spawn_failure *why)
{
    if (!in->packet || in->packet->fds_count == 0
        || (!spawn_has(in->m, SPAWN_A_DELAY) && !spawn_has(in->m, SPAWN_A_AT)))
        return 0;
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
           "%s: a job with handles of its caller cannot wait for its time; "
           "data and paths can",
           spawn_has(in->m, SPAWN_A_DELAY) ? "delay" : "at");
}

static int check_durable(const incoming *in, spawn_failure *why)
{
    if (!is_durable(in))
        return 0;
    if (!in->peer)
        REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
               "durable: it came without a caller who waits to be told that "
               "it is on the disk; submit it with reply 'accepted'");
    return spawn_durable_check(why);
}

/* A worker that waits for a job of its own queue may wait for itself. */
static int check_not_its_own(const incoming *in, spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(queue_of(in));
    const spawn_worker *w;

    if (!in->peer || in->peer->pid <= 0 /* of another pid namespace */
        || spawn_u64_or(in->m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED)
               < SPAWN_REPLY_STARTED
        || !spawn_pool_serves(q, in->m))
        return 0;
    for (w = q->pool->workers; w; w = w->pool_next) {
        if (w->pid == in->peer->pid)
            REFUSE(SPAWN_E_INVALID, SPAWN_STEP_QUEUE,
                   "this is a worker of queue '%s': a call there would wait "
                   "for itself; call the function directly, or another queue",
                   q->name);
    }
    return 0;
}

/* It was sent to a worker directly, and nothing is known of that one any more:
 * broker and spawner have gone since. */
static int may_have_run(const incoming *in, spawn_job *job)
{
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_LOST),
                  "it was sent to a worker, and worker, broker and spawner "
                  "have gone since: whether it has run is not known");
    answer_known(in, job, SPAWN_STATE_DONE);
    return 0;
}

/* It waits in no lane, and its caller for an answer, until the ledger has it.
 */
static void take_durable(const incoming *in, spawn_body *body)
{
    spawn_job *job = make_job(in, body);

    spawn_rules_take(job, in->m, taken_since(in));
    if (in->peer->lease_lost) {
        (void)may_have_run(in, job);
        return;
    }
    spawn_admit(job, in->m);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_durable_put(job, in->attrs - SPAWN_WIRE_HEADER,
                      in->length + SPAWN_WIRE_HEADER);
    answer_known(in, job, SPAWN_STATE_QUEUED);
}

/* Another job is there. Of what was posted or spooled the history says so. */
static int keep_other(const incoming *in, const spawn_admit_other *other,
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
    body = spawn_body_new(in->attrs, in->length);
    if (!body)
        REFUSE(SPAWN_E_SYSTEM, SPAWN_STEP_CHECK, "no memory for the job");
    job = make_job(in, body);
    job->told = true; /* its caller wants that */
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_CANCELLED),
                  "job %s, which has the same unique key, is kept",
                  spawn_id_format(&other->id, text));
    return 0;
}

static int take(const incoming *in, spawn_failure *why)
{
    spawn_admit_other other;
    spawn_body *body;
    spawn_job *job;
    unsigned slot;
    bool fits;
    int rv;

    if (spawn_job_check(in->m, why) < 0)
        return -1;
    if (spawn_admit_account(in->m, why))
        return -1;
    rv = check_known(in, why);
    if (rv)
        return rv;
    if (check_time(in, why) || check_queue(in, why) || check_limits(in, why)
        || check_template(in->m, queue_of(in), why)
        || check_not_its_own(in, why) || check_handles(in, why)
        || check_durable(in, why))
        return -1;
    rv = spawn_admit_check(in->batch, in->m, queue_of(in), in->peer, &other,
                           why);
    if (rv)
        return rv < 0 ? rv : keep_other(in, &other, why);
    body = spawn_body_new(in->attrs, in->length);
    if (!body) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CHECK, ENOMEM,
                          "no memory for the job");
        return -1;
    }
    if (is_durable(in)) {
        take_durable(in, body);
        return 0;
    }
    fits = fits_a_slot(in->packet);
    slot = fits && !in->peer->lease_lost ? accept_first(in) : 0;
    job = make_job(in, body);
    spawn_rules_take(job, in->m, taken_since(in));
    if (in->peer && in->peer->lease_lost)
        return may_have_run(in, job);
    if (slot)
        job->slot = (uint8_t)slot;
    if (in->packet)
        hold(job, in->packet);
    keep_until_stored(in, job, fits);
    warn_of_handles(job);
    spawn_admit(job, in->m);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_job_changed(job);
    spawn_admitted(job, in->m);
    if (!slot)
        answer_known(in, job, SPAWN_STATE_QUEUED);
    return 0;
}

static void fill(incoming *in, const spawn_message *m, const uint8_t *data,
                 size_t length)
{
    in->m = m;
    in->attrs = data + SPAWN_WIRE_HEADER;
    in->length = length - SPAWN_WIRE_HEADER;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &in->id);
    in->digest = spawn_digest(in->attrs, in->length);
}

void spawn_submit(spawn_peer *peer, const spawn_message *m, spawn_packet *p)
{
    incoming in = {.batch = peer->batch, .peer = peer, .packet = p};
    spawn_failure why;

    fill(&in, m, p->data, p->length);
    if (take(&in, &why) < 0)
        spawn_peer_refuse(peer, m->header.seq, &in.id, &why);
}

/* ---- posts ---- */

/* A refused post becomes a job that could not be started. */
static bool record_refusal(const incoming *in, const spawn_failure *why)
{
    spawn_known known;
    spawn_body *body;
    spawn_job *job;

    if (!spawn_id_valid(&in->id) || !spawn_queue_name_ok(queue_of(in))
        || spawn_job_find(&in->id)
        || spawn_store_find(in->batch->store, &in->id, &known) != 0)
        return false;
    body = spawn_body_new(in->attrs, in->length);
    if (!body)
        return false;
    job = make_job(in, body);
    spawn_end_start_failed(job, why->step, why->error, why->text);
    job->judged = true; /* nor would it be taken when it is tried again */
    job->told = true;   /* the refusal is in the log */
    return true;
}

static void log_refusal(const incoming *in, const spawn_failure *why)
{
    char name[SPAWN_LOGS_NAME];

    spawn_log_to(spawn_logs_find(spawn_logs_vhost(in->m)));
    spawn_log_few(
        spawn_log_about("queue", queue_of(in)), REFUSALS_TOLD, SPAWN_LOG_ERR,
        MSNO(0560) "posted job %s (queue %.64s, %.80s) is refused: %s: %s",
        spawn_logs_name(&in->id, in->m, name), queue_of(in),
        spawn_logs_what(in->m), spawn_error_name(why->code), why->text);
    spawn_log_to(NULL);
}

static void refuse_post(const incoming *in, const spawn_failure *why)
{
    log_refusal(in, why);
    if (!record_refusal(in, why))
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
static void known_already(const incoming *in)
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
    incoming in = {.batch = batch,
                   .slot = slot,
                   .left = left,
                   .uid = from ? from->uid : geteuid(),
                   .pid = from ? from->pid : 0};
    spawn_message m;
    spawn_failure why;
    int rv;

    if (spawn_message_parse(data, length, SPAWN_FROM_POST, fds, &m, &why)) {
        spawn_log_few(
            "httpd's children", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
            MSNO(0561) "a posted message is not understood and dropped: "
                       "%s",
            why.text);
        spawn_inbox_free(slot);
        return;
    }
    fill(&in, &m, data, length);
    rv = take(&in, &why);
    if (rv < 0)
        refuse_post(&in, &why);
    else if (rv == 1)
        known_already(&in);
}

/* ---- launched by a broker before this one ---- */

static void take_note(spawn_job *job, const spawn_inbox_note *note,
                      const spawn_message *order)
{
    job->digest = note->digest;
    job->submitted_at = note->submitted_at;
    job->started_at = note->started_at;
    job->boot_started = note->boot_started;
    job->pid = note->pid;
    job->timed_out = note->timed_out;
    job->cancel = note->cancel;
    job->lent = note->of_worker && note->lent;
    job->attempt = note->attempt;
    /* when its end was told it is the end, whatever was left */
    job->retries =
        note->over ? 0 : (uint8_t)spawn_retry_left(order, note->attempt);
}

/* It was due. A slot's message is nothing that a broker has checked. */
static void take_rules_found(spawn_job *job, const spawn_message *m)
{
    spawn_failure why;

    if (spawn_rules_check(m, &why) == 0)
        spawn_rules_take(job, m, job->submitted_at);
    if (job->rules)
        spawn_moment_at(&job->rules->due, 0);
}

static spawn_job *found_job(const incoming *in, const spawn_inbox_note *note)
{
    spawn_body *body = spawn_body_new(in->attrs, in->length);
    spawn_job *job;

    if (!body)
        return NULL;
    job = make_job(in, body);
    if (note)
        take_note(job, note, in->m);
    else
        job->submitted_at = (int64_t)spawn_id_time(&in->id);
    job->launched = job->may_run_unstored = true;
    take_rules_found(job, in->m);
    return job;
}

/* What it was, the spawner tells when it runs or has ended. */
static void tell_unreadable(const spawn_inbox_note *note, const char *why)
{
    char id[SPAWN_ID_TEXT] = "of an unknown id";

    if (note)
        (void)spawn_id_format(&note->id, id);
    spawn_log_few("httpd's children", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0573) "a job that was launched before it was stored "
                             "cannot be read in the inbox, and is not in the "
                             "history: job %s: %s",
                  id, why);
}

static bool read_found(incoming *in, const void *data, size_t length,
                       const spawn_inbox_note *note, spawn_message *m)
{
    spawn_failure why;

    if (spawn_message_parse(data, length, SPAWN_FROM_POST, 0, m, &why)) {
        tell_unreadable(note, why.text);
        return false;
    }
    fill(in, m, data, length);
    if (!note || spawn_id_equal(&in->id, &note->id))
        return true;
    tell_unreadable(note, "the message is another job's");
    return false;
}

int spawn_submit_found(spawn_batch *batch, unsigned slot, const void *data,
                       size_t length, const spawn_inbox_note *note,
                       spawn_job **ret)
{
    incoming in = {.batch = batch,
                   .slot = slot,
                   .uid = note ? note->caller_uid : geteuid(),
                   .pid = note ? note->caller_pid : 0};
    spawn_message m;
    spawn_known known;
    int rv = 1;

    *ret = NULL;
    if (read_found(&in, data, length, note, &m) && !spawn_job_find(&in.id))
        rv = spawn_store_find(batch->store, &in.id, &known);
    if (rv == 0)
        *ret = found_job(&in, note);
    else if (rv == 1)
        spawn_inbox_free(slot);
    return rv < 0 || (rv == 0 && !*ret) ? -1 : 0;
}

/* ---- the ledger ---- */

static bool is_submit_of(const spawn_message *m, const spawn_id *id)
{
    spawn_id its;

    if (m->header.type != SPAWN_M_SUBMIT)
        return false;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &its);
    return spawn_id_equal(&its, id);
}

/* Its times are those of the first broker that had it. */
static void take_row(spawn_job *job, const spawn_ledger_record *row,
                     const spawn_message *m)
{
    job->submitted_at = row->submitted_at;
    job->promised = true;
    job->ledger = row->state == SPAWN_LEDGER_IS_WAITING
                      ? SPAWN_IN_LEDGER_WAITS
                      : SPAWN_IN_LEDGER_ORDERED;
    if (row->attempt > 1) {
        job->attempt = row->attempt;
        job->retries = (uint8_t)spawn_retry_left(m, row->attempt);
    }
    if (row->due_at)
        spawn_moment_at(&spawn_rules_get(job)->due, row->due_at);
}

spawn_job *spawn_submit_ledgered(spawn_batch *batch,
                                 const spawn_ledger_record *row,
                                 const void *message)
{
    incoming in = {
        .batch = batch, .left = true, .uid = row->uid, .pid = row->pid};
    spawn_failure why;
    spawn_message m;
    spawn_body *body;
    spawn_job *job;

    if (spawn_message_parse(message, row->length, SPAWN_FROM_CALLER, 0, &m,
                            &why)
        || spawn_job_check(&m, &why) < 0 || !is_submit_of(&m, &row->id))
        return NULL;
    fill(&in, &m, message, row->length);
    body = spawn_body_new(in.attrs, in.length);
    if (!body)
        return NULL;
    job = make_job(&in, body);
    spawn_rules_take(job, &m, row->submitted_at);
    take_row(job, row, &m);
    spawn_admit_again(job, &m,
                      row->state == SPAWN_LEDGER_IS_WAITING && row->attempt <= 1
                          && !row->chosen);
    return job;
}

/* ---- the spool ---- */

/* The job is known, and is not stored yet: the file keeps it until then. */
static bool file_keeps(const spawn_id *id)
{
    spawn_job *job = spawn_job_find(id);

    if (!job || job->in_store || has_gone_on(job))
        return false;
    job->may_run_unstored = false; /* of the file it would run again */
    spawn_job_store_now(job);
    job->spooled = true;
    return true;
}

static bool will_pass(const spawn_failure *why)
{
    return why->code == SPAWN_E_QUEUE_FULL || why->code == SPAWN_E_STORE
           || why->code == SPAWN_E_SYSTEM;
}

spawn_spool_result spawn_submit_spooled(spawn_batch *batch, const spawn_id *id,
                                        const void *data, size_t length,
                                        uid_t uid, spawn_failure *why)
{
    incoming in = {.batch = batch, .spooled = true, .uid = uid};
    spawn_message m;
    int rv;

    if (spawn_message_parse(data, length, SPAWN_FROM_CALLER, 0, &m, why))
        return SPAWN_SPOOLED_BAD;
    if (!is_submit_of(&m, id)) {
        spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_CHECK, 0,
                          "it does not hold the job that its name says");
        return SPAWN_SPOOLED_BAD;
    }
    fill(&in, &m, data, length);
    rv = take(&in, why);
    if (rv == 0 || (rv == 1 && file_keeps(id)))
        return SPAWN_SPOOLED_TAKEN;
    if (rv == 1)
        return SPAWN_SPOOLED_KNOWN;
    if (will_pass(why))
        return SPAWN_SPOOLED_LATER;
    log_refusal(&in, why);
    return record_refusal(&in, why) ? SPAWN_SPOOLED_TAKEN : SPAWN_SPOOLED_BAD;
}

/* ---- our own ---- */

int spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                     bool record, spawn_failure *why)
{
    incoming in = {.batch = batch, .uid = geteuid(), .pid = getpid()};
    spawn_message m;
    int rv;

    if (spawn_message_parse(data, length, SPAWN_FROM_CALLER, 0, &m, why))
        return SPAWN_OWN_REFUSED;
    fill(&in, &m, data, length);
    rv = take(&in, why);
    if (rv >= 0)
        return rv ? SPAWN_OWN_KNOWN : SPAWN_OWN_TAKEN;
    return record && !will_pass(why) && record_refusal(&in, why)
               ? SPAWN_OWN_RECORDED
               : SPAWN_OWN_REFUSED;
}
