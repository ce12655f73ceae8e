/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's rows of durable jobs, when a broker begins or as soon as they
 * can be read. Runs in the broker. Must never have a job wait of which the
 * ledger says that it starts, nor leave one out that it has: docs/durable.md,
 * "Which one is believed".
 */
#include "broker/recover_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_retry.h"
#include "broker/base/conf.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/needs.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/process/orphan.h"
#include "broker/process/perl.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/run/end.h"
#include "broker/run/retry.h"
#include "broker/caller/revive.h"
#include "broker/caller/submit_found.h"
#include "broker/broker.h"
#include "broker/recover_found.h"

static bool some_lost;

bool spawn_ledger_some_lost(void)
{
    return some_lost;
}

/* One whose order the store does not give now may be: whether it is, is found
 * out before the ledger takes it (run/durable_ask.c). */
static bool may_be_durable(const spawn_job *job)
{
    spawn_body *read = NULL;
    spawn_message m;
    int rv = spawn_store_read_body(job, &read);
    bool durable = (rv < 0 && rv != -ENODATA)
                   || (spawn_body_read(job, read, &m, NULL) == 0
                       && spawn_u64_or(&m, SPAWN_A_DURABLE, 0));

    free(read);
    return durable;
}

/* False: it has the attempt that it had. */
static bool take_attempt(spawn_job *job, const spawn_durable_row *row)
{
    spawn_message m;

    if (row->record.attempt == job->attempt
        || spawn_message_parse(row->message, row->record.length,
                               SPAWN_FROM_CALLER, 0, &m, NULL))
        return false;
    job->attempt = row->record.attempt;
    job->retries = (uint8_t)spawn_retry_left(&m, job->attempt);
    return true;
}

/* The store's moment counts, but that of an attempt before, or of a job that
 * was to start at once. */
static bool take_moment(spawn_job *job, const spawn_durable_row *row,
                        int64_t *ret)
{
    *ret = spawn_ledger_due(&row->record);
    return take_attempt(job, row) || row->record.due_at == SPAWN_LEDGER_NOW;
}

static void end_as_row(spawn_job *job, const spawn_durable_row *row)
{
    const spawn_ledger_end *e = &row->record.end;
    spawn_end *end = spawn_end_job(job, (spawn_outcome)e->outcome);

    end->exit_code = e->exit_code;
    end->signo = e->signo;
    end->core = e->core != 0;
    end->step = (spawn_step)e->step;
    end->error = e->error;
    end->ended_at = e->ended_at;
    end->elapsed_us = e->elapsed_us;
    end->rusage_count = e->rusage_count;
    memcpy(end->rusage, e->rusage, sizeof(end->rusage));
    if (row->text)
        spawn_end_say(end, "%s", row->text);
    (void)take_attempt(job, row);
    job->pid = e->pid;
    job->started_at = e->started_at;
    spawn_perl_lost_result(job, (int)e->result_kind);
    spawn_retry_judged(job);
    job->told = true; /* by the broker that wrote it */
}

/* The store knows how the attempt ended that the ledger has. The one after it
 * has not begun: else the ledger would have that. */
static bool is_behind(const spawn_durable_row *row, const spawn_job *job)
{
    return row->record.attempt < job->attempt;
}

/* A broker before us may have ended when the store had the new boot, and not
 * yet what it found. */
static bool store_is_right(void)
{
    return spawn_found_same_boot() && !spawn_durable_other_boot();
}

static bool was_chosen(const spawn_ledger_record *r)
{
    return r->chosen || r->state != SPAWN_LEDGER_IS_WAITING || r->attempt > 1;
}

bool spawn_ledger_chose(const spawn_job *job)
{
    const spawn_durable_row *row = spawn_durable_row_of(&job->id);

    return row && !store_is_right() && was_chosen(&row->record);
}

/* The next broker believes the store, when the ledger is of this boot. */
static bool only_ledger_has_it_wait(const spawn_job *job, uint8_t state)
{
    return state != SPAWN_STATE_QUEUED && job->ledger != SPAWN_IN_LEDGER_UNREAD;
}

bool spawn_ledger_corrects(const spawn_job *job, unsigned attempt,
                           uint8_t state)
{
    return job->attempt != attempt || only_ledger_has_it_wait(job, state)
           || (job->needs && job->needs->open == 0);
}

/* As the store says it has begun, and /proc does not know it: the ledger may
 * have its end. */
static bool is_missing(const spawn_job *job, uint8_t state,
                       const spawn_id *life)
{
    if (state == SPAWN_STATE_STARTING
        && spawn_id_equal(life, &spawn_conf.spawner_life))
        return false; /* its order never reached the spawner */
    return !spawn_orphan_lives(job);
}

/* A job that is not open in the ledger. One that was revived, or had ended,
 * when the broker before us ended may have ended there, or be forgotten; so may
 * one that was stored before the ledger had it (job/unique.h, replaced jobs).
 */
static void without_row(spawn_job *job, uint8_t *state, const spawn_id *life)
{
    bool unread = spawn_durable_unread();
    bool lost = spawn_durable_lost(job->batch->store);
    bool waits = *state == SPAWN_STATE_QUEUED;

    if ((!unread && !lost && !spawn_durable_read()) || !may_be_durable(job))
        return;
    some_lost = some_lost || lost;
    if (!unread) {
        job->ledger = waits ? SPAWN_IN_LEDGER_ASKED : SPAWN_IN_LEDGER_ORDERED;
    }
    else if (waits || spawn_found_is_told(job) /* so it is of this boot */
             || (spawn_store_ledger_known(job->batch->store)
                 && !is_missing(job, *state, life))) {
        job->ledger = SPAWN_IN_LEDGER_WAITS;
    }
    else { /* the ledger may have its end */
        job->ledger = SPAWN_IN_LEDGER_UNREAD;
        *state = SPAWN_STATE_QUEUED;
    }
}

/* Within a boot: the store did not take its end, and nobody else has it. */
static bool ended_alone(const spawn_job *job, const spawn_durable_row *row)
{
    return row->record.state == SPAWN_LEDGER_IS_ENDED && !is_behind(row, job)
           && !spawn_found_is_told(job);
}

static unsigned stands(const spawn_durable_row *row)
{
    return row->record.state == SPAWN_LEDGER_IS_WAITING
               ? SPAWN_IN_LEDGER_WAITS
               : SPAWN_IN_LEDGER_ORDERED;
}

/* The store's word on an open job counts within a boot; after another one the
 * store may be older than the ledger. True: that is all. */
bool spawn_ledger_ask(spawn_job *job, uint8_t *state, const spawn_id *life)
{
    const spawn_durable_row *row = spawn_durable_row_of(&job->id);
    int64_t due_at;

    if (!row) {
        without_row(job, state, life);
        return false;
    }
    job->ledger = (uint8_t)stands(row);
    if (store_is_right()) {
        if (!ended_alone(job, row))
            return false;
        end_as_row(job, row);
        return true;
    }
    if (is_behind(row, job)) {
        job->ledger = SPAWN_IN_LEDGER_ORDERED; /* so that it follows */
        return false;
    }
    if (row->record.state == SPAWN_LEDGER_IS_ENDED) {
        end_as_row(job, row);
        return true;
    }
    if (take_moment(job, row, &due_at))
        spawn_moment_at(&spawn_rules_get(job)->due, due_at);
    *state = row->record.state == SPAWN_LEDGER_IS_WAITING
                 ? SPAWN_STATE_QUEUED
                 : SPAWN_STATE_STARTING;
    return false;
}

/* It has ended, as the store knows; perhaps after a revive of which the ledger
 * has nothing, since it did not take it. */
static void ledger_follows(spawn_store *store, const spawn_durable_row *row,
                           const spawn_known *known)
{
    unsigned attempt;
    int64_t started;
    spawn_end end;
    pid_t pid;
    int kind;

    if ((row->record.state == SPAWN_LEDGER_IS_ENDED && !row->record.alone
         && known->attempt <= row->record.attempt)
        || !spawn_store_end_of(store, &row->record.id, &end, &kind, &pid,
                               &started, &attempt))
        return;
    spawn_durable_ended(&row->record.id, attempt, &end, kind, pid, started);
    free(end.text);
}

static void tell_unreadable(const spawn_durable_row *row)
{
    char id[SPAWN_ID_TEXT];

    spawn_log_few("durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0865) "durable job %s cannot be read, and is left out",
                  spawn_id_format(&row->record.id, id));
}

/* The store has its end; or it was revived after that, as the ledger knows, and
 * may have ended again. */
static int ended_row(spawn_batch *batch, const spawn_durable_row *row,
                     const spawn_known *known)
{
    bool ended = row->record.state == SPAWN_LEDGER_IS_ENDED;
    bool may_be_later = !ended || row->record.attempt > 1;
    int rv = may_be_later ? spawn_revive_found(batch, row) : 0;

    if (rv == 1 && ended)
        end_as_row(spawn_job_find(&row->record.id), row);
    if (rv == 0)
        ledger_follows(batch->store, row, known);
    else if (rv == -EBADMSG)
        tell_unreadable(row);
    return rv == -EIO ? -1 : 0;
}

/* The store does not have it: it was lost with the power, or damaged, or a
 * broker ended between two commits. */
static void take_in(spawn_batch *batch, const spawn_durable_row *row)
{
    static const spawn_id unknown;
    spawn_job *job;

    if (row->record.state == SPAWN_LEDGER_IS_ENDED
        && spawn_store_forgotten(batch->store, &row->record.id)) {
        spawn_durable_drop(&row->record.id, SPAWN_LEDGER_IS_ENDED);
        return;
    }
    job = spawn_submit_ledgered(batch, &row->record, row->message);
    if (!job) {
        tell_unreadable(row);
        return;
    }
    if (row->record.state == SPAWN_LEDGER_IS_ENDED)
        end_as_row(job, row);
    else
        spawn_found_open(job,
                         row->record.state == SPAWN_LEDGER_IS_WAITING
                             ? SPAWN_STATE_QUEUED
                             : SPAWN_STATE_STARTING,
                         &unknown);
    spawn_job_changed(job);
}

static int one_row(spawn_batch *batch, const spawn_durable_row *row)
{
    spawn_known known;
    int rv;

    if (spawn_job_find(&row->record.id))
        return 0;
    rv = spawn_store_find(batch->store, &row->record.id, &known);
    if (rv == 1)
        return ended_row(batch, row, &known);
    if (rv == 0)
        take_in(batch, row);
    return rv < 0 ? -1 : 0;
}

int spawn_ledger_take_all(spawn_batch *batch)
{
    spawn_durable_row *row;

    spawn_found_boot(!spawn_durable_other_boot());
    while ((row = spawn_durable_next_row())) {
        if (one_row(batch, row))
            return -1;
    }
    return 0;
}

static void lose(spawn_job *job)
{
    spawn_found_outputs_lost(job);
    spawn_found_gone(job, job->started_at ? SPAWN_STATE_RUNNING
                                          : SPAWN_STATE_STARTING);
}

/* The store's word counts, but for an end that the ledger alone has. */
static void late_within_a_boot(spawn_job *job, const spawn_durable_row *row)
{
    bool began = job->ledger == SPAWN_IN_LEDGER_UNREAD;
    bool ended = ended_alone(job, row);

    if (job->ledger == SPAWN_IN_LEDGER_ASKED)
        return; /* its own record says how it stands */
    spawn_queue_let_in(job);
    if (ended) {
        end_as_row(job, row);
    }
    else if (began) {
        lose(job);
    }
    else {
        job->ledger = (uint8_t)stands(row);
        spawn_durable_follow(job);
    }
}

/* The ledger is right. */
static void late_after_a_boot(spawn_job *job, const spawn_durable_row *row)
{
    bool began = job->ledger == SPAWN_IN_LEDGER_UNREAD;
    int64_t due_at;

    spawn_queue_let_in(job);
    if (is_behind(row, job)) {
        job->ledger = SPAWN_IN_LEDGER_ORDERED;
        if (began) /* with a release that knows no ledger */
            lose(job);
        else
            spawn_durable_follow(job);
        return;
    }
    if (was_chosen(&row->record))
        spawn_needs_over(job);
    if (row->record.state == SPAWN_LEDGER_IS_ENDED) {
        end_as_row(job, row);
        return;
    }
    if (take_moment(job, row, &due_at))
        spawn_queue_wait_until(job, due_at);
    if (row->record.state == SPAWN_LEDGER_IS_ORDERED)
        lose(job);
    spawn_job_changed(job);
}

/* Its job waits, and was not started since: one that is durable is not, while
 * the ledger is unread. Or it runs. */
int spawn_recover_late(void *of, spawn_durable_row *row)
{
    spawn_broker *broker = of;
    spawn_job *job = spawn_job_find(&row->record.id);

    spawn_found_boot(!spawn_durable_other_boot());
    if (!job)
        return one_row(&broker->batch, row);
    if (job->state == SPAWN_STATE_QUEUED && spawn_found_same_boot())
        late_within_a_boot(job, row);
    else if (job->state == SPAWN_STATE_QUEUED)
        late_after_a_boot(job, row);
    else if (job->ledger == SPAWN_IN_LEDGER_WAITS)
        job->ledger = (uint8_t)stands(row);
    return 0;
}

void spawn_recover_late_end(void)
{
    spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (!job->ledger || job->state != SPAWN_STATE_QUEUED)
            continue;
        if (job->ledger == SPAWN_IN_LEDGER_UNREAD) {
            spawn_queue_let_in(job);
            lose(job);
        }
        else if (spawn_job_stopped(
                     job)) { /* before that boot, and it did wait */
            (void)spawn_end_job(job, SPAWN_OUTCOME_CANCELLED);
        }
    }
}
