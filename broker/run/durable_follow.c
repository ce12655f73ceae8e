/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs: what the scribe is to write of one when something happens to
 * it, since the ledger outlives what jobs.db may lose. Runs in the broker. Must
 * not wait for the disk, nor tell the end of a job that jobs.db has as waiting
 * (may_tell_end).
 */
#include "broker/run/durable_follow.h"

#include <stdint.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/job/changes.h"
#include "broker/job/perl.h"
#include "broker/job/rules.h"
#include "broker/process/perl.h"
#include "broker/process/scribe.h"

static int64_t alone_until = INT64_MIN;

static void write_state(const spawn_job *job, unsigned type, int64_t due_at)
{
    const spawn_ledger_record r = {.type = (uint16_t)type,
                                   .id = job->id,
                                   .attempt = job->attempt,
                                   .due_at = due_at};

    spawn_scribe_send(&r, NULL, NULL);
}

void spawn_durable_order(spawn_job *job)
{
    if (job->ledger == SPAWN_IN_LEDGER_ORDERED) {
        spawn_job_changed(job);
        return;
    }
    if (job->ledger == SPAWN_IN_LEDGER_ORDERING)
        return;
    job->ledger = SPAWN_IN_LEDGER_ORDERING;
    write_state(job, SPAWN_LEDGER_ORDER, 0);
}

void spawn_durable_hastened(const spawn_job *job)
{
    if (job->ledger == SPAWN_IN_LEDGER_WAITS)
        write_state(job, SPAWN_LEDGER_WAITS, SPAWN_LEDGER_NOW);
}

static void write_end(spawn_ledger_record r, const spawn_end *end, int kind,
                      pid_t pid, int64_t started_at)
{
    spawn_ledger_end *e = &r.end;

    r.type = SPAWN_LEDGER_END;
    e->outcome = (int32_t)end->outcome;
    e->exit_code = end->exit_code;
    e->signo = end->signo;
    e->core = end->core;
    e->step = (int32_t)end->step;
    e->error = end->error;
    e->result_kind = kind;
    e->pid = pid;
    e->started_at = started_at;
    e->ended_at = end->ended_at;
    e->elapsed_us = end->elapsed_us;
    e->rusage_count = end->rusage_count;
    memcpy(e->rusage, end->rusage, sizeof(e->rusage));
    spawn_scribe_send(&r, NULL, end->text);
}

void spawn_durable_ended(const spawn_id *id, unsigned attempt,
                         const spawn_end *end, int kind, pid_t pid,
                         int64_t started_at)
{
    const spawn_ledger_record r = {.id = *id, .attempt = (uint16_t)attempt};

    write_end(r, end, kind, pid, started_at);
}

static int kind_of(spawn_job *job)
{
    if (!job->perl)
        return -1;
    spawn_perl_take_result(job);
    return job->perl->kept && job->perl->kept->kind > SPAWN_RESULT_NONE
               ? job->perl->kept->kind
               : SPAWN_RESULT_NONE;
}

/* A job that waits in jobs.db, and has not begun, has ended when jobs.db knows
 * that: within this boot the ledger tells a broker after us of no end. */
static bool may_tell_end(const spawn_job *job)
{
    return job->due == SPAWN_DUE_NOT || job->in_table || job->started_at
           || job->attempt > 1;
}

/* The ledger marks an end that it alone has, for a broker after us, and is told
 * once more, without the mark, when the store has it. */
static void follow_end(spawn_job *job)
{
    bool alone = job->due != SPAWN_DUE_NOT;

    if (!may_tell_end(job) || (alone && job->ledger == SPAWN_IN_LEDGER_ALONE))
        return;
    if (job->ledger == SPAWN_IN_LEDGER_ALONE)
        alone_until = spawn_mono_ms();
    job->ledger = alone ? SPAWN_IN_LEDGER_ALONE : SPAWN_IN_LEDGER_ENDED;
    write_end((spawn_ledger_record){.id = job->id,
                                    .attempt = job->attempt,
                                    .alone = alone},
              job->end, kind_of(job), job->pid, job->started_at);
}

int64_t spawn_durable_alone_until(void)
{
    return alone_until;
}

void spawn_durable_follow(spawn_job *job)
{
    if (!job->ledger || job->ledger == SPAWN_IN_LEDGER_ENDED)
        return;
    if (job->state == SPAWN_STATE_DONE) {
        follow_end(job);
    }
    else if (job->state == SPAWN_STATE_QUEUED
             && job->ledger == SPAWN_IN_LEDGER_ORDERED) {
        job->ledger = SPAWN_IN_LEDGER_WAITS;
        write_state(job, SPAWN_LEDGER_WAITS,
                    job->rules ? job->rules->due.wall : 0);
    }
}

void spawn_durable_drop(const spawn_id *id, spawn_ledger_state state)
{
    const spawn_ledger_record r = {
        .type = SPAWN_LEDGER_DROP, .id = *id, .state = (uint16_t)state};

    spawn_scribe_send(&r, NULL, NULL);
}
