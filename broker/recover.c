/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery. Runs in the broker, once at its start. Must never run a job twice,
 * nor hide that one was lost.
 *
 * Three sources: the store and the inbox say what was accepted or launched, the
 * spawner says what lives and what has ended (recover_told.c), /proc tells of
 * jobs whose spawner has gone (recover_found.c). Of durable jobs the ledger
 * says more (recover_ledger.c); of a store that was damaged what is left of it
 * (recover_damaged.c). A job of which none of them knows the end is
 * called lost.
 */
#include "broker/recover.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/base/conf.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/needs.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/share.h"
#include "broker/job/state.h"
#include "broker/job/unique.h"
#include "broker/process/link.h"
#include "broker/process/perl.h"
#include "broker/process/worker.h"
#include "broker/store/in_use.h"
#include "broker/store/launches.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/run/end.h"
#include "broker/run/graces.h"
#include "broker/run/pool.h"
#include "broker/run/retry.h"
#include "broker/run/started.h"
#include "broker/caller/inbox.h"
#include "broker/caller/submit_found.h"
#include "broker/recover_damaged.h"
#include "broker/recover_found.h"
#include "broker/recover_ledger.h"
#include "broker/recover_told.h"

/* ms, of a store that was set aside */
#define READ_AT_START 2000
#define READ_LATER    50 /* callers wait for the turn's end */

static void take_rules(spawn_job *job, const spawn_open_row *r)
{
    spawn_rules *rules;

    if (!spawn_moment_is_set(&r->due) && !spawn_moment_is_set(&r->expires))
        return;
    rules = spawn_rules_get(job);
    rules->due.wall = r->due.wall;
    rules->due.boot = r->due.boot;
    rules->expires.wall = r->expires.wall;
    rules->expires.boot = r->expires.boot;
}

/* Which of them are still open cannot be read, but its order names all; those
 * that have ended are looked up (run/order.c). */
static void take_all_needs(spawn_job *job, unsigned when_failed)
{
    spawn_body *read = spawn_store_body(job);
    char id[SPAWN_ID_TEXT];
    spawn_message m;

    if (spawn_body_read(job, read, &m, NULL) == 0
        && spawn_has(&m, SPAWN_A_AFTER))
        spawn_needs_make(
            job, m.attr[SPAWN_A_AFTER].data,
            (unsigned)(m.attr[SPAWN_A_AFTER].length / SPAWN_ID_SIZE),
            when_failed);
    free(read);
    spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0870) "which jobs job %s still comes after cannot be "
                             "read in the store: it waits for all that it was "
                             "submitted to come after",
                  spawn_id_format(&job->id, id));
}

/* The jobs that it comes after, before it is queued. When the ledger knows that
 * it was to start, after another boot, the store may be behind: then it waits
 * for nobody again, and its key is not somebody else's. */
static void take_order(spawn_job *job, const spawn_open_row *r)
{
    uint8_t ids[SPAWN_AFTER_MAX * SPAWN_ID_SIZE];
    bool chosen = spawn_ledger_chose(job);
    unsigned count = 0;

    if (r->needs
        && spawn_store_needs(job->batch->store, r->seq, ids, &count) < 0)
        take_all_needs(job, r->needs - 1);
    else if (count > 0)
        spawn_needs_make(job, ids, count, r->needs - 1);
    if (chosen)
        spawn_needs_over(job);
    if (r->has_key)
        spawn_claim_found(job, r->unique, &r->unique_until,
                          r->has_begun || chosen
                              || r->state != SPAWN_STATE_QUEUED);
}

/* Which host runs it, and how far it has come. */
static void take_share(spawn_job *job)
{
    spawn_share share;

    if (spawn_store_share(job->batch->store, job->seq, &share) != 1)
        return;
    *spawn_share_make(job, share.role, share.host) = share;
}

/* Another host runs it, or will. One that the engine has not confirmed is
 * handed over again: docs/cluster.md. */
static void found_away(spawn_job *job, const spawn_open_row *r)
{
    static const spawn_id none;

    if (r->state == SPAWN_STATE_QUEUED || job->share->stage == SPAWN_SHARE_HERE)
        spawn_found_open(job, SPAWN_STATE_QUEUED, &none);
    else
        spawn_job_on(job, job->share->stage == SPAWN_SHARE_RUNS
                              ? SPAWN_JOB_FOUND_RUNNING
                              : SPAWN_JOB_FOUND_STARTING);
}

static void one_job(spawn_batch *batch, const spawn_open_row *r)
{
    uint8_t state = (uint8_t)r->state;

    spawn_job *job = spawn_job_new(batch, &r->id);
    spawn_id life = r->life;

    job->in_store = job->input_stored = true;
    job->seq = r->seq;
    job->digest = r->digest;
    job->fds = (uint8_t)r->fds;
    job->cancel = (uint8_t)r->cancel;
    job->submitted_at = r->submitted_at;
    job->started_at = r->started_at;
    job->boot_started = r->boot_started;
    job->pid = r->pid;
    job->caller_pid = r->caller_pid;
    job->caller_uid = r->caller_uid;
    job->attempt = (uint16_t)r->attempt;
    /* an older release may have stored it */
    job->retries =
        (uint8_t)(r->retries < 0 ? (int)spawn_retry_given(job) : r->retries);
    job->priority = (int8_t)r->priority;
    spawn_graces_note(job);
    take_rules(job, r);
    spawn_queue_join(job, r->queue);
    take_share(job);
    take_order(job, r);
    if (r->template)
        spawn_perl_make(job, *r->template ? r->template : NULL);
    if (r->state == SPAWN_STATE_QUEUED)
        job->noted = (uint16_t)spawn_launches_find(batch->store, &r->id,
                                                   job->attempt, &life);
    if (job->noted)
        state = SPAWN_STATE_STARTING;
    if (spawn_job_away(job))
        found_away(job, r);
    else if (!spawn_ledger_ask(job, &state, &life))
        spawn_found_open(job, (spawn_state)state, &life);
    if (job->state == SPAWN_STATE_QUEUED) {
        /* else a broker after us might call it lost */
        spawn_launches_undo(job);
        if (job->ledger == SPAWN_IN_LEDGER_ASKED) /* before us */
            spawn_durable_ask(job);
        spawn_durable_follow(job); /* it may wait for long */
        if (spawn_ledger_corrects(job, r->attempt))
            spawn_job_changed(job);
    }
    else {
        spawn_job_changed(job); /* it may be noted only */
    }
}

/* A post, and its order was sent to nobody. */
static bool was_refused(const spawn_inbox_note *note)
{
    static const spawn_id nobody;

    return spawn_id_equal(&note->life, &nobody);
}

/* Its end was told, and nobody else has it any more. */
static void take_noted_end(spawn_job *job, const spawn_inbox_note *note)
{
    spawn_end *end = spawn_end_job(job, note->end.outcome);

    *end = note->end;
    end->text = NULL; /* a pointer of another process, if anything */
    if (was_refused(note)) {
        job->judged = true;
        spawn_end_say(end, "it was refused when it came, and the broker was "
                           "killed then: the error log has the reason");
        return;
    }
    spawn_retry_judged(job); /* as its caller was told */
    job->in_table =
        spawn_told_find(&job->id, SPAWN_M_RUNNING) != NULL; /* given up */
    spawn_found_outputs_lost(job);
    if (job->outputs_lost)
        spawn_end_say(end, "what it wrote is lost");
}

/* Do the spawner, or a worker's ticket, have this job? */
static bool is_told(const spawn_id *id)
{
    return spawn_told_find(id, SPAWN_M_RUNNING)
           || spawn_told_find(id, SPAWN_M_EXITED) || spawn_pool_ticket(id, 1);
}

/* A call was sent when the ticket of its worker says so. A worker that is not
 * there cannot tell. */
static spawn_state noted_state(const spawn_inbox_note *note)
{
    const spawn_worker *w = NULL;

    if (!note->of_worker)
        return note->pid ? SPAWN_STATE_RUNNING : SPAWN_STATE_STARTING;
    while ((w = spawn_worker_next(w))
           && (w->pid != note->pid || w->boot_started != note->boot_started))
        ;
    return w ? SPAWN_STATE_STARTING : SPAWN_STATE_RUNNING;
}

static void of_slot(spawn_job *job, const spawn_inbox_note *note)
{
    static const spawn_id unknown;

    if (!note && !is_told(&job->id))
        spawn_found_lost(
            job, SPAWN_OUTCOME_LOST,
            "another release of mod_spawn launched it, and what it noted of "
            "it cannot be read by this one");
    else if (note && note->over && !spawn_told_find(&job->id, SPAWN_M_EXITED)
             && !spawn_pool_ticket(&job->id, 1))
        take_noted_end(job, note);
    else
        spawn_found_open(job, note ? noted_state(note) : SPAWN_STATE_STARTING,
                         note ? &note->life : &unknown);
}

/* It was launched before it was stored, or accepted with handles. */
static int one_slot(spawn_batch *batch, const spawn_inbox_found *found)
{
    static const spawn_id none;
    spawn_job *job;
    int rv = spawn_submit_found(batch, found, &job);

    if (!job)
        return rv;
    spawn_graces_note(job);
    spawn_found_boot(true); /* the inbox is memory */
    if (found->launched)
        of_slot(job, found->note);
    else
        spawn_found_open(job, SPAWN_STATE_QUEUED, &none);
    if (job->state == SPAWN_STATE_QUEUED)
        spawn_inbox_waits_again(job);
    spawn_job_store_now(job);
    spawn_job_changed(job);
    return 0;
}

static void tell_worker(spawn_worker *w, const spawn_told *t)
{
    spawn_message m;

    if (spawn_told_parse(t, &m))
        return;
    if (t->type == SPAWN_M_ORPHANED)
        spawn_worker_orphaned(w, &m);
    else
        spawn_worker_exited(w, &m);
}

/* known: what the store has of it (0: nothing). */
static void tell_nobody(const spawn_told *t, int known)
{
    char text[SPAWN_ID_TEXT];

    if (known == 0 && t->type == SPAWN_M_RUNNING)
        spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0585) "job %s runs, and the store does not know it",
                      spawn_id_format(&t->id, text));
    if (t->type != SPAWN_M_RUNNING)
        spawn_link_send_id(SPAWN_M_FORGET, &t->id, NULL, 0);
}

/* Entries of the spawner's table that are no open job of the store. Those that
 * it does not know at all may be of jobs of the ledger, which is unread. */
static void rest_of_table(spawn_store *store, bool unread)
{
    spawn_told *t = NULL;

    while ((t = spawn_told_next(t))) {
        bool held = t->type == SPAWN_M_HELD; /* not of a durable one */
        spawn_worker *worker;
        spawn_known known;
        int rv = 1;

        if (t->used || t->type == SPAWN_M_STARTED)
            continue;
        worker = spawn_worker_find(&t->id);
        if (worker && worker->unknown && unread)
            continue; /* its call ends with it, and is no job yet */
        if (!worker && !held)
            rv = spawn_store_find(store, &t->id, &known);
        if (rv == 0 && unread)
            continue;
        t->used = true;
        if (worker)
            tell_worker(worker, t);
        else if (held)
            spawn_link_send_id(SPAWN_M_RELEASE, &t->id, NULL, 0);
        else
            tell_nobody(t, rv);
    }
}

/* ---- all of it ---- */

static bool has_exited(const spawn_id *id)
{
    return spawn_told_find(id, SPAWN_M_EXITED) != NULL;
}

/* Messages that came while the disk was full, before the jobs were read. */
static void tell_started(void)
{
    spawn_told *t = NULL;
    spawn_message m;

    while ((t = spawn_told_next(t))) {
        if (t->used || t->type != SPAWN_M_STARTED || !spawn_job_find(&t->id))
            continue;
        t->used = true;
        if (spawn_told_parse(t, &m) == 0)
            spawn_started(&t->id, &m);
    }
}

/* Their orders and ends of the last moments may not be on the disk, and nobody
 * else has them. */
static void warn_of_cut(const spawn_store *store)
{
    unsigned count = 0;
    const spawn_job *job;

    if (!spawn_in_use_was(store))
        return;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job))
        count += job->state == SPAWN_STATE_QUEUED
                 && job->ledger == SPAWN_IN_LEDGER_NOT;
    if (count > 0)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0895) "the machine stopped while the store %s was in "
                             "use, and %u jobs wait in it that are not "
                             "durable: they are run, although those that "
                             "started in the last half minute before may have "
                             "run; a job that must not run twice is to be "
                             "submitted with durable",
                  spawn_conf.store_path, count);
}

/* All or nothing: a broker after one that was killed here must not take what
 * ran before the machine's start for jobs of this boot. A failed step is undone
 * when the store is closed. */
static int note_boot(spawn_store *store, char *ret_last)
{
    return spawn_store_begin(store) || spawn_store_boot(store, ret_last)
                   || spawn_store_commit(store)
               ? -1
               : 0;
}

int spawn_recover(spawn_batch *batch, spawn_failure *why, bool *ret_full)
{
    spawn_store *store = batch->store;
    char last[37], now[37] = "";
    bool same = true;
    int rv = -1;

    (void)spawn_os_boot_id(now);
    if (note_boot(store, last) < 0) {
        *ret_full = spawn_store_full(store);
    }
    else {
        same = strcmp(last, now) == 0;
        spawn_found_boot(same);
        spawn_keys_begin();
        rv = spawn_graces_read(store);
        if (rv == 0)
            rv = spawn_store_holds(store);
        if (rv == 0)
            rv = spawn_store_open_jobs(batch, one_job);
        if (rv == 0)
            rv = spawn_inbox_recover(one_slot, batch);
        if (rv == 0)
            rv = spawn_ledger_take_all(batch);
        if (rv == 0)
            rv = spawn_pools_recover(batch);
    }
    if (rv < 0) { /* the table is needed again */
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store in %.160s cannot be read: %.80s",
                          spawn_conf.store_path, spawn_store_error(store));
        return rv;
    }
    spawn_recover_damaged(batch, spawn_durable_unread(), READ_AT_START);
    spawn_graces_take(batch, has_exited);
    tell_started();
    rest_of_table(store, spawn_durable_unread());
    spawn_queues_warn();
    if (!same)
        warn_of_cut(store);
    spawn_durable_recovered(spawn_ledger_some_lost());
    if (spawn_durable_unread())
        spawn_told_wait();
    else
        spawn_told_free();
    return 0;
}

void spawn_recover_rest(spawn_batch *batch)
{
    if (!spawn_told_waits())
        return;
    spawn_recover_damaged(batch, false, READ_LATER);
    tell_started();
    rest_of_table(batch->store, false);
    spawn_told_free();
}
