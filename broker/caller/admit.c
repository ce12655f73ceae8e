/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a job is taken that wants another account, has a unique key, or comes
 * after others. Runs in the broker, on checked orders. Must not take in two
 * jobs of one key, unless one waits for the other.
 */
#include "broker/caller/admit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_rule.h"
#include "broker/job/account.h"
#include "broker/job/body.h"
#include "broker/job/needs.h"
#include "broker/job/unique.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/lease.h"
#include "broker/run/order.h"
#include "broker/caller/access.h"
#include "broker/caller/inbox.h"

/* Each is in memory, some 200 bytes, as long as its job wants. */
#define KEYS_HELD_MAX 100000

#define REFUSE(code, step, ...)                                                \
    do {                                                                       \
        spawn_failure_set(why, code, step, 0, __VA_ARGS__);                    \
        return -1;                                                             \
    } while (0)

/* ---- the account ---- */

static bool names(const char *given, const char *name, unsigned long number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lu", number);
    return strcmp(given, text) == 0 || (name && strcmp(given, name) == 0);
}

int spawn_admit_account(const char *queue, const spawn_message *m,
                        spawn_failure *why)
{
    const spawn_account_look as =
        spawn_account_of_queue(spawn_queue_find(queue));

    if (spawn_has(m, SPAWN_A_USER)
        && !names(spawn_attr_str(&m->attr[SPAWN_A_USER]), as.user, as.uid))
        REFUSE(SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK,
               "user: jobs of queue '%s' run as %s, and no other account can "
               "be had there",
               queue, as.user);
    if (spawn_has(m, SPAWN_A_GROUP)
        && !names(spawn_attr_str(&m->attr[SPAWN_A_GROUP]), as.group, as.gid))
        REFUSE(SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK,
               "group: jobs of queue '%s' run as group %s, and no other can be "
               "had there",
               queue, as.group ? as.group : "of httpd");
    return 0;
}

/* ---- jobs that it comes after ---- */

static unsigned count_of(const spawn_message *m)
{
    return spawn_has(m, SPAWN_A_AFTER)
               ? (unsigned)(m->attr[SPAWN_A_AFTER].length / SPAWN_ID_SIZE)
               : 0;
}

static void id_at(const spawn_message *m, unsigned i, spawn_id *ret)
{
    memcpy(ret->bytes, m->attr[SPAWN_A_AFTER].data + (size_t)i * SPAWN_ID_SIZE,
           SPAWN_ID_SIZE);
}

/* 1: it is known. */
static int known(spawn_store *store, const spawn_id *id)
{
    spawn_known known;

    spawn_leases_look(id); /* a worker that is lent may have run it */
    if (spawn_job_find(id))
        return 1;
    return spawn_store_find(store, id, &known);
}

static int check_after(spawn_store *store, const spawn_message *m,
                       const spawn_peer *peer, spawn_failure *why)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    unsigned i;

    for (i = 0; i < count_of(m); i++) {
        int rv;

        id_at(m, i, &id);
        rv = known(store, &id);
        if (rv < 0)
            REFUSE(SPAWN_E_STORE, SPAWN_STEP_STORE,
                   "the store could not be read");
        if (rv == 0 && spawn_store_forgotten(store, &id))
            REFUSE(SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK,
                   "after: job %s is older than the kept history: how it ended "
                   "is not known",
                   spawn_id_format(&id, text));
        if (rv == 0 && spawn_durable_unread())
            REFUSE(SPAWN_E_STORE, SPAWN_STEP_STORE,
                   "after: whether there is a durable job %s cannot be read "
                   "now; it can be submitted again later",
                   spawn_id_format(&id, text));
        if (rv == 0)
            REFUSE(SPAWN_E_NO_SUCH_JOB, SPAWN_STEP_CHECK,
                   "after: no job %s is known; it has to be submitted before",
                   spawn_id_format(&id, text));
        if (peer && spawn_access_check_known(peer, &id, why))
            return -1;
    }
    return 0;
}

/* ---- unique keys ---- */

/* The id of the other one only to a caller that may know of it. */
static int refuse_unique(const char *name, const char *queue,
                         const spawn_peer *peer, const spawn_admit_other *other,
                         spawn_failure *why)
{
    const bool told = !peer || spawn_access_may_know(peer, queue, &other->id);
    char text[SPAWN_ID_TEXT];

    REFUSE(SPAWN_E_NOT_UNIQUE, SPAWN_STEP_QUEUE,
           "%s%s, which %s, has the unique key '%.100s' of queue '%s'",
           told ? "job " : "another job",
           told ? spawn_id_format(&other->id, text) : "",
           !other->job                               ? "has ended"
           : other->job->state == SPAWN_STATE_QUEUED ? "waits"
                                                     : "runs",
           name, queue);
}

static int check_unique(const spawn_message *m, const char *queue,
                        const spawn_peer *peer, spawn_admit_other *ret,
                        spawn_failure *why)
{
    const char *name = spawn_str_or(m, SPAWN_A_UNIQUE, "");
    spawn_key *key;

    if (!spawn_has(m, SPAWN_A_UNIQUE))
        return 0;
    key = spawn_key_find(queue, name);
    if (!key && spawn_keys_held() >= KEYS_HELD_MAX
        && spawn_u64_or(m, SPAWN_A_UNIQUE_FOR, 0) > SPAWN_UNIQUE_ENDED)
        REFUSE(SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE,
               "%u unique keys are had by jobs that have ended, and whose "
               "unique_for is not over: no other job with a time gets one "
               "until one of these is free",
               spawn_keys_held());
    if (!key)
        return 0;
    ret->job = spawn_key_job(key, &ret->id);
    switch (spawn_u64_or(m, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REJECT)) {
    case SPAWN_CONFLICT_KEEP: /* its caller would get it */
        return !peer || spawn_access_may_know(peer, queue, &ret->id)
                   ? 1
                   : refuse_unique(name, queue, peer, ret, why);
    case SPAWN_CONFLICT_REJECT:
        return refuse_unique(name, queue, peer, ret, why);
    default:
        return 0;
    }
}

/* ---- both ---- */

/* Not later: one of the posts may have the id of the job itself. */
void spawn_admit_posts(const spawn_message *m)
{
    if (count_of(m))
        (void)spawn_inbox_receive();
}

int spawn_admit_check(spawn_batch *batch, const spawn_message *m,
                      const char *queue, const spawn_peer *peer,
                      spawn_admit_other *ret, spawn_failure *why)
{
    if (check_after(batch->store, m, peer, why))
        return -1;
    return check_unique(m, queue, peer, ret, why);
}

void spawn_admit_priority(spawn_job *job, const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_PRIORITY))
        job->priority = (int8_t)spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY]);
}

static void want_key(spawn_job *job, const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_UNIQUE))
        spawn_claim_make(
            job, spawn_attr_str(&m->attr[SPAWN_A_UNIQUE]),
            spawn_u64_or(m, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_ENDED));
}

static void want_needs(spawn_job *job, const spawn_message *m)
{
    if (count_of(m))
        spawn_needs_make(job, m->attr[SPAWN_A_AFTER].data, count_of(m),
                         (unsigned)spawn_u64_or(m, SPAWN_A_AFTER_FAILED,
                                                SPAWN_AFTER_FAILED_CANCEL));
}

void spawn_admit(spawn_job *job, const spawn_message *m)
{
    want_needs(job, m);
    want_key(job, m);
}

static bool is_to_replace(const spawn_message *m)
{
    return spawn_u64_or(m, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_REJECT)
           == SPAWN_CONFLICT_REPLACE;
}

/* One that the ledger does not have yet, and the store neither, would be
 * unknown to a broker after us as one that was replaced: the ledger may have it
 * then. */
static void replace(spawn_job *job)
{
    spawn_claim *c;

    spawn_claim_replaces(job);
    for (c = spawn_claim_replaced(job, NULL); c;
         c = spawn_claim_replaced(job, c)) {
        if (c->job->ledger == SPAWN_IN_LEDGER_ASKED && !c->job->in_store)
            spawn_job_store_first(c->job);
    }
}

void spawn_admitted(spawn_job *job, const spawn_message *m)
{
    spawn_id id;
    unsigned i;

    for (i = 0; i < count_of(m); i++) {
        spawn_job *other;

        id_at(m, i, &id);
        other = spawn_job_find(&id);
        if (other && other->ledger != SPAWN_IN_LEDGER_ASKED)
            spawn_job_store_now(other); /* a broker after us must find it */
    }
    (void)spawn_order_look(job);
    if (job->state == SPAWN_STATE_QUEUED && is_to_replace(m))
        replace(job);
}

void spawn_admitted_late(spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        spawn_admitted(job, &m);
    free(read);
}

void spawn_admit_again(spawn_job *job, const spawn_message *m, bool waits)
{
    uint64_t unique_for =
        spawn_u64_or(m, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_ENDED);
    spawn_moment until = {.wall = (int64_t)unique_for};

    if (waits)
        want_needs(job, m);
    if (!spawn_has(m, SPAWN_A_UNIQUE)
        || (!waits && unique_for == SPAWN_UNIQUE_WAITING)) /* it gave it up */
        return;
    if (unique_for > SPAWN_UNIQUE_ENDED)
        until.wall += job->submitted_at;
    spawn_claim_found(job, spawn_attr_str(&m->attr[SPAWN_A_UNIQUE]), &until,
                      !waits);
    if (waits && is_to_replace(m))
        spawn_claim_replaces_late(job);
}
