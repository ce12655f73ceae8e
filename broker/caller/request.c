/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of callers: their table, with the right that each of them needs
 * (access.h), and WAIT, GET, KILL, TEMPLATES; the others have files of their
 * own. Runs in the broker, on checked messages. Must not answer of a change
 * before it is stored.
 */
#include "broker/caller/request.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/alloc.h"
#include "broker/job/job.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/share.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/lease.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"
#include "broker/caller/check.h"
#include "broker/caller/connection.h"
#include "broker/caller/control.h"
#include "broker/caller/cron_entry.h"
#include "broker/caller/cron_request.h"
#include "broker/caller/doubt.h"
#include "broker/caller/hasten.h"
#include "broker/caller/list.h"
#include "broker/caller/meter_rows.h"
#include "broker/caller/queue_request.h"
#include "broker/caller/reply.h"
#include "broker/caller/revive.h"
#include "broker/caller/stop.h"
#include "broker/caller/submit.h"
#include "broker/caller/template_rows.h"
#include "broker/caller/waiter.h"
#include "broker/caller/watcher.h"

static void refuse(spawn_peer *peer, const spawn_message *m, const spawn_id *id,
                   spawn_error code, const char *text)
{
    spawn_failure why;

    spawn_failure_set(&why, code, SPAWN_STEP_CHECK, 0, "%s", text);
    spawn_peer_refuse(peer, m->header.seq, id, &why);
}

static uint8_t output_of(const spawn_message *m)
{
    return spawn_u64_or(m, SPAWN_A_WITH_OUTPUT, 0) ? SPAWN_OUTPUT_WANTED
                                                   : SPAWN_OUTPUT_NONE;
}

static void ask(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                const spawn_id *id)
{
    const spawn_attr *from = &m->attr[SPAWN_A_OUTPUT_FROM];
    spawn_ask *a;
    unsigned i;

    (void)p;
    if (spawn_has(m, SPAWN_A_OUTPUT_FROM) && spawn_u64v_count(from) != 2) {
        refuse(peer, m, id, SPAWN_E_INVALID,
               "output_from: wanted: a number for stdout and one for stderr");
        return;
    }
    a = spawn_ask_of_job(m->header.seq, id, output_of(m));
    a->so_far = spawn_has(m, SPAWN_A_OUTPUT_FROM);
    for (i = 0; a->so_far && i < 2; i++)
        a->from[i] = spawn_u64v_at(from, i);
    spawn_peer_ask(peer, a);
}

static void request_wait(spawn_peer *peer, const spawn_message *m,
                         spawn_packet *p, const spawn_id *id)
{
    uint64_t want = spawn_attr_u64(&m->attr[SPAWN_A_WAIT_FOR]);
    const spawn_wait wait = {.want = (uint8_t)want,
                             .output = output_of(m),
                             .ms = spawn_u64_or(m, SPAWN_A_WAIT_MS, 0)};
    spawn_job *job = spawn_job_find(id);
    spawn_failure why;
    spawn_ask *a;

    (void)p;
    if (want != SPAWN_REPLY_STARTED && want != SPAWN_REPLY_FINISHED) {
        refuse(peer, m, id, SPAWN_E_INVALID,
               "wait_for: wanted: started or finished");
        return;
    }
    if (!job || spawn_wait_is_over(job, (unsigned)want)) {
        a = spawn_ask_of_job(m->header.seq, id, output_of(m));
        if (!job)
            spawn_waiter_ask(a, &wait);
        spawn_peer_ask(peer, a);
        return;
    }
    if (spawn_check_wait(peer, job, &why)) {
        spawn_peer_refuse(peer, m->header.seq, id, &why);
        return;
    }
    if (spawn_waiters_enough(peer, m->header.seq, id))
        return;
    spawn_waiter_add(peer, m->header.seq, job, &wait);
}

static void request_templates(spawn_peer *peer, const spawn_message *m,
                              spawn_packet *p, const spawn_id *id)
{
    spawn_ask *a = spawn_alloc(sizeof(*a));

    (void)p;
    (void)id;
    a->seq = m->header.seq;
    a->rows_there = true;
    a->told = spawn_processes(peer, m->header.seq);
    spawn_peer_ask(peer, a);
}

/* A caller that asks about several ids is told which one is meant. */
static void refuse_kill(spawn_peer *peer, const spawn_message *m,
                        const spawn_id *id, spawn_error code, const char *why)
{
    char text[128], id_text[SPAWN_ID_TEXT];

    (void)snprintf(text, sizeof(text), "%s: %s", why,
                   spawn_id_format(id, id_text));
    refuse(peer, m, id, code, text);
}

static void kill_unknown(spawn_peer *peer, const spawn_message *m,
                         const spawn_id *id)
{
    spawn_known known;
    int rv = spawn_store_find(peer->batch->store, id, &known);

    if (rv < 0)
        refuse(peer, m, id, SPAWN_E_STORE, "the store could not be read");
    else if (rv == 0)
        refuse_kill(peer, m, id, SPAWN_E_NO_SUCH_JOB,
                    "no job with this id is known");
    else
        refuse_kill(peer, m, id, SPAWN_E_NOT_RUNNING, "the job has ended");
}

static void request_kill(spawn_peer *peer, const spawn_message *m,
                         spawn_packet *p, const spawn_id *id)
{
    uint64_t signo = spawn_u64_or(m, SPAWN_A_SIGNO, SIGTERM);
    spawn_job *job = spawn_job_find(id);

    (void)p;
    if (signo < 1 || signo >= (uint64_t)_NSIG) {
        refuse(peer, m, id, SPAWN_E_INVALID, "signo: no such signal");
        return;
    }
    if (!job) {
        kill_unknown(peer, m, id);
        return;
    }
    if (job->state == SPAWN_STATE_QUEUED && spawn_durable_undecided(job)) {
        refuse_kill(peer, m, id, SPAWN_E_STORE,
                    "whether the job waits, or has ended, cannot be read now");
        return;
    }
    if (spawn_job_away(job) && job->state != SPAWN_STATE_QUEUED
        && job->state != SPAWN_STATE_DONE) {
        refuse_kill(peer, m, id, SPAWN_E_NOT_PERMITTED,
                    "the job was handed over to other hosts, and a kill does "
                    "not reach it there yet");
        return;
    }
    if (!spawn_stop(job, peer->bound && signo == SIGTERM ? SPAWN_STOP_KINDLY
                                                         : (int)signo)) {
        refuse_kill(peer, m, id, SPAWN_E_NOT_RUNNING, "the job has ended");
        return;
    }
    spawn_reply_done(peer, m->header.seq, job);
}

/* The SUBMIT that follows is of a call that may have begun in this worker. */
static void lease_lost(spawn_peer *peer, const spawn_message *m,
                       spawn_packet *p, const spawn_id *id)
{
    (void)m;
    (void)p;
    peer->lease_lost = !spawn_lease_lost(id);
}

static void submit(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                   const spawn_id *id)
{
    spawn_failure why;

    if (spawn_u64_or(m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED)
            >= SPAWN_REPLY_STARTED
        && spawn_waiters_too_many(peer, &why)) {
        spawn_doubt_refused(peer, &why);
        spawn_queue_refused(spawn_str_or(m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE),
                            why.code);
        spawn_peer_refuse(peer, m->header.seq, id, &why);
        return;
    }
    spawn_submit(peer, m, p);
    peer->lease_lost = false;
}

/* Of which queue a request is. */
typedef enum {
    OF_ANY,    /* of those that its answer has rows of, or of none */
    OF_QUEUE,  /* of the one that it names; else of any */
    OF_SUBMIT, /* of the one that it names; else of the default one */
    OF_JOB,    /* of that of the job with its id */
    OF_ENTRY   /* of that of the recurring job that it names; else of any */
} whose;

#define ANY_VALUE UINT64_MAX

/* A type may have several rows: the first one counts whose attribute `by` has
 * the value. A message that has no row is not answered. */
typedef struct {
    uint16_t type;
    uint16_t by; /* 0: the type says it all */
    uint64_t value;
    unsigned right; /* SPAWN_MAY_ */
    whose of;
    void (*answer)(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                   const spawn_id *id);
} request;

#define ALL      0, ANY_VALUE
#define IF(a, v) SPAWN_A_##a, v
#define SUBMITS  SPAWN_MAY_SUBMIT
#define SEES     SPAWN_MAY_SEE
#define KILLS    SPAWN_MAY_KILL
#define CONTROLS SPAWN_MAY_CONTROL

static const request requests[] = {
    {SPAWN_M_SUBMIT, ALL, SUBMITS, OF_SUBMIT, submit},
    {SPAWN_M_WAIT, ALL, SEES, OF_JOB, request_wait},
    {SPAWN_M_GET, ALL, SEES, OF_JOB, ask},
    {SPAWN_M_WATCH, ALL, SEES, OF_JOB, spawn_request_watch},
    {SPAWN_M_LIST, ALL, SEES, OF_QUEUE, spawn_request_list},
    {SPAWN_M_KILL, ALL, KILLS, OF_JOB, request_kill},
    {SPAWN_M_TEMPLATES, ALL, SEES, OF_ANY, request_templates},
    {SPAWN_M_REVIVE, ALL, SUBMITS, OF_JOB, spawn_revive},
    {SPAWN_M_START_NOW, ALL, SUBMITS, OF_JOB, spawn_hasten},
    {SPAWN_M_LEASE_LOST, ALL, SUBMITS, OF_ANY, lease_lost},
    {SPAWN_M_CRON, IF(CRON_DO, SPAWN_CRON_LIST), SEES, OF_ENTRY,
     spawn_request_cron},
    {SPAWN_M_CRON, IF(CRON_DO, SPAWN_CRON_RUN), SUBMITS, OF_ENTRY,
     spawn_request_cron},
    {SPAWN_M_CRON, ALL, CONTROLS, OF_ENTRY, spawn_request_cron},
    {SPAWN_M_QUEUES, IF(QUEUE_DO, SPAWN_QUEUE_LIST), SEES, OF_QUEUE,
     spawn_request_queues},
    {SPAWN_M_QUEUES, ALL, CONTROLS, OF_QUEUE, spawn_request_queues},
    {SPAWN_M_METERS, ALL, SEES, OF_QUEUE, spawn_request_meters},
};

static const request *request_of(const spawn_message *m)
{
    size_t i;

    for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        const request *r = &requests[i];

        if (r->type == m->header.type
            && (!r->by || spawn_attr_u64(&m->attr[r->by]) == r->value))
            return r;
    }
    return NULL;
}

/* NULL: of any. */
static const char *queue_of(const request *r, const spawn_message *m)
{
    const spawn_cron_entry *e;

    switch (r->of) {
    case OF_QUEUE:
        return spawn_str_or(m, SPAWN_A_QUEUE, NULL);
    case OF_SUBMIT:
        return spawn_str_or(m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE);
    case OF_ENTRY:
        e = spawn_cron_find(spawn_str_or(m, SPAWN_A_CRON, ""));
        return e ? e->queue : NULL;
    default:
        return NULL;
    }
}

static bool may(const spawn_peer *peer, const request *r,
                const spawn_message *m, const spawn_id *id, spawn_failure *why)
{
    int rv;

    if (r->of == OF_JOB)
        rv = spawn_access_check_job(peer, id, r->right, why);
    else if (r->of == OF_ENTRY)
        rv = spawn_access_check_of(peer, queue_of(r, m), r->right,
                                   "the queue of this recurring job", why);
    else
        rv = spawn_access_check(peer, queue_of(r, m), r->right, why);

    if (rv == 0 && r->right == SPAWN_MAY_CONTROL)
        rv = spawn_control_check(peer, why);
    return rv == 0;
}

/* It is not looked at. */
static void refuse_request(spawn_peer *peer, const spawn_message *m,
                           const spawn_id *id, spawn_failure *why)
{
    if (m->header.type == SPAWN_M_SUBMIT)
        spawn_doubt_refused(peer, why);
    else if (m->header.type == SPAWN_M_LEASE_LOST)
        peer->lease_lost = true;
    spawn_peer_refuse(peer, m->header.seq, id, why);
}

void spawn_request(spawn_peer *peer, const spawn_message *m, spawn_packet *p)
{
    bool has_id = spawn_has(m, SPAWN_A_ID);
    const request *r = request_of(m);
    spawn_failure why;
    spawn_id id;

    memset(&id, 0, sizeof(id));
    if (has_id)
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_phase.recovered) { /* a full disk, at the broker's start */
        spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_CHECK, 0,
                          "the store cannot be opened: its disk is full; see "
                          "the error log");
        refuse_request(peer, m, has_id ? &id : NULL, &why);
        return;
    }
    if (m->header.type != SPAWN_M_SUBMIT) /* which looks by itself */
        spawn_leases_look(has_id ? &id : NULL);
    if (r && !may(peer, r, m, &id, &why)) {
        refuse_request(peer, m, has_id ? &id : NULL, &why);
        if (r->of == OF_SUBMIT)
            spawn_queue_refused(queue_of(r, m), why.code);
    }
    else if (r)
        r->answer(peer, m, p, &id);
}
