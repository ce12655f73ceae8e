/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a job that has come be taken? Runs in the broker. Must change nothing
 * that others see; whether its id is known, and what unique keys and other jobs
 * have to say, is looked at elsewhere (take.c, admit.c).
 */
#include "broker/caller/check.h"

#include <string.h>

#include "common/spawn_os.h"
#include "broker/job/account.h"
#include "broker/job/allowed.h"
#include "broker/job/defaults.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/worker.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/pool.h"
#include "broker/caller/access.h"
#include "broker/caller/template_rows.h"

#define AHEAD_OF_CLOCK 60000 /* ms that an id's time may be ahead */

#define REFUSE(code, step, ...)                                                \
    do {                                                                       \
        spawn_failure_set(why, code, step, 0, __VA_ARGS__);                    \
        return -1;                                                             \
    } while (0)

int spawn_check_time(spawn_store *store, const spawn_id *id, spawn_failure *why)
{
    if (spawn_id_time(id) > (uint64_t)spawn_wall_ms() + AHEAD_OF_CLOCK)
        REFUSE(SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK,
               "the id's time lies more than a minute in the future: it is "
               "wrong, or the clock was set back since the id was made; submit "
               "with a new id");
    if (spawn_store_forgotten(store, id))
        REFUSE(SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK,
               "the id is older than the kept history: whether its job has "
               "run is not known");
    return 0;
}

/* Not for the inbox or the spool: a message lies there as long as its job is
 * not stored, so the job has not run. */
static int check_time(const spawn_incoming *in, spawn_failure *why)
{
    return in->peer ? spawn_check_time(in->batch->store, &in->id, why) : 0;
}

/* A queue that this peer may see. */
static const spawn_queue *queue_of(const spawn_incoming *in, spawn_failure *why)
{
    return spawn_access_queue(in->peer, spawn_incoming_queue(in), why);
}

/* A job that was taken once may have been told to somebody: it is not refused
 * because the queue has become full, or smaller, since. */
static int check_queue(const spawn_incoming *in, spawn_failure *why)
{
    const char *name = spawn_incoming_queue(in);
    const spawn_queue *q = queue_of(in, why);

    if (!q)
        return -1;
    if (spawn_incoming_delayed(in)) {
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

/* Another job that is kept needs no place: this is asked after that. */
int spawn_incoming_drained(const spawn_incoming *in, spawn_failure *why)
{
    const char *name = spawn_incoming_queue(in);
    const spawn_queue *q = spawn_queue_find(name);

    if (!in->left && spawn_queue_drained(q))
        REFUSE(SPAWN_E_QUEUE_FULL, SPAWN_STEP_QUEUE,
               "queue '%s' is drained and takes no jobs until somebody calls "
               "'spawnctl resume %s'",
               name, name);
    return 0;
}

/* A job that was taken once gets what its queue lets it have when it starts. */
static int check_limits(const spawn_incoming *in, spawn_failure *why)
{
    return in->left ? 0
                    : spawn_defaults_allow(
                        spawn_queue_find(spawn_incoming_queue(in)), in->m, why);
}

static int check_account(const spawn_queue *q, const spawn_template *t,
                         spawn_failure *why)
{
    if (spawn_account_fits(q, t))
        return 0;
    REFUSE(SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK,
           "jobs of queue '%s' run as %s, and template '%s' as %s: a call "
           "there needs a template of the queue's own (SpawnTemplate in its "
           "<SpawnQueue>)",
           q->name, spawn_account_of_queue(q).user, t->name,
           spawn_account_of_template(t).user);
}

/* A job that was taken once is looked at when it starts. A refused post is told
 * in the log anyway. */
static int check_allowed(const spawn_incoming *in, spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(spawn_incoming_queue(in));

    if (in->left
        || !spawn_allowed_check(
            q, in->m, (long)(in->peer ? in->peer->uid : in->uid), why))
        return 0;
    if (in->peer)
        spawn_allowed_log(q, &in->id, in->m, why->text);
    return -1;
}

/* A process that posts or spools is one of httpd's. */
static bool is_shown(const void *peer, const spawn_template *t)
{
    return !peer || spawn_template_is_seen(peer, t);
}

static int check_template(const spawn_incoming *in, spawn_failure *why)
{
    const spawn_message *m = in->m;
    const spawn_queue *q = spawn_queue_find(spawn_incoming_queue(in));
    const char *name = spawn_str_or(m, SPAWN_A_TEMPLATE, q->template->name);
    const spawn_template *t = spawn_template_find(name);
    char names[200];

    if (!spawn_has(m, SPAWN_A_FUNCTION))
        return 0;
    if (t && spawn_template_configured(t))
        return check_account(q, t, why);
    spawn_template_names(is_shown, in->peer, names, sizeof(names));
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
           "template '%s' is not configured%s%s", name,
           *names ? "; configured: " : "", names);
}

/* Each is a descriptor of broker and spawner until the job starts. */
static int check_handles(const spawn_incoming *in, spawn_failure *why)
{
    if (!in->packet || in->packet->fds_count == 0
        || (!spawn_has(in->m, SPAWN_A_DELAY) && !spawn_has(in->m, SPAWN_A_AT)))
        return 0;
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
           "%s: a job with handles of its caller cannot wait for its time; "
           "data and paths can",
           spawn_has(in->m, SPAWN_A_DELAY) ? "delay" : "at");
}

static int check_durable(const spawn_incoming *in, spawn_failure *why)
{
    if (!spawn_incoming_durable(in))
        return 0;
    if (!in->peer && !in->own)
        REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
               "durable: it came without a caller who waits to be told that "
               "it is on the disk; submit it with reply 'accepted'");
    return spawn_durable_check(why);
}

static bool is_worker_of(const spawn_peer *peer, const spawn_pool *pool)
{
    const spawn_worker *w = pool ? pool->workers : NULL;

    if (peer->pid <= 0) /* of another pid namespace */
        return false;
    while (w && w->pid != peer->pid)
        w = w->pool_next;
    return w;
}

/* A worker that waits for a job of its own queue may wait for itself. */
static int check_not_its_own(const spawn_incoming *in, spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(spawn_incoming_queue(in));

    if (!in->peer
        || spawn_u64_or(in->m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED)
               < SPAWN_REPLY_STARTED
        || !spawn_pool_serves(q, in->m) || !is_worker_of(in->peer, q->pool))
        return 0;
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_QUEUE,
           "this is a worker of queue '%s': a call there would wait "
           "for itself; call the function directly, or another queue",
           q->name);
}

int spawn_check_wait(const spawn_peer *peer, const spawn_job *job,
                     spawn_failure *why)
{
    const spawn_pool *pool = job->queue->pool;

    if (peer->pid > 0 && job->pid == peer->pid
        && job->state == SPAWN_STATE_RUNNING)
        REFUSE(SPAWN_E_INVALID, SPAWN_STEP_CHECK,
               "this is the job that it would wait for");
    if (!job->perl || !job->perl->pooled || job->state != SPAWN_STATE_QUEUED
        || !pool || pool->max != 1 || !is_worker_of(peer, pool))
        return 0;
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_QUEUE,
           "this is the only worker of queue '%s', which is to run the job: it "
           "would wait for itself",
           job->queue->name);
}

/* What only this host has cannot go to another one. */
static int check_shared(const spawn_incoming *in, spawn_failure *why)
{
    const spawn_queue *q = spawn_queue_find(spawn_incoming_queue(in));
    const char *what = NULL;

    if (!q->shared || in->origin)
        return 0;
    if (in->m->header.fds > 0)
        what = "handles of its caller (fds, or a stream that is one) cannot "
               "travel; data and paths can";
    else if (spawn_incoming_durable(in))
        what = "durable: that promise is about the disk of one host";
    else if (in->peer && in->peer->bound)
        what = "a job that is bound to its caller's connection cannot travel";
    if (!what)
        return 0;
    REFUSE(SPAWN_E_INVALID, SPAWN_STEP_QUEUE,
           "queue '%s' is shared with other hosts: %s", q->name, what);
}

int spawn_incoming_may_be(const spawn_incoming *in, spawn_failure *why)
{
    return check_time(in, why) || !queue_of(in, why) ? -1 : 0;
}

int spawn_incoming_check(const spawn_incoming *in, spawn_failure *why)
{
    return check_time(in, why) || check_queue(in, why) || check_limits(in, why)
                   || check_allowed(in, why) || check_template(in, why)
                   || check_not_its_own(in, why) || check_handles(in, why)
                   || check_durable(in, why) || check_shared(in, why)
               ? -1
               : 0;
}
