/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What broker_durable_played.h plays, the clock, and jobs of a broker that may
 * start them.
 */
#ifndef BROKER_DURABLE_CLOCKED_H
#define BROKER_DURABLE_CLOCKED_H

#include "t/unit/broker_durable_played.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/run/durable_ask.h"

#define MINUTE 60000

static int64_t clock_ms = 1000000;
static unsigned turns_wanted;

int64_t __wrap_spawn_mono_ms(void);
void __wrap_spawn_loop_again(void);

int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

void __wrap_spawn_loop_again(void)
{
    turns_wanted++;
}

/* ---- jobs ---- */

static spawn_batch batch;

static inline spawn_job *new_job(uint8_t n, uint8_t in_ledger)
{
    const spawn_id id = id_of(n);
    spawn_job *job = spawn_job_new(&batch, &id);

    job->attempt = 1;
    job->in_store = true;
    job->ledger = in_ledger;
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

/* That it starts is being written. */
static inline spawn_job *chosen_job(uint8_t n)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_WAITS);

    spawn_job_on(job, SPAWN_JOB_ORDERED);
    job->launch = true;
    spawn_durable_order(job);
    CHECK(sent == SPAWN_LEDGER_ORDER);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERING);
    return job;
}

static inline void has_ended(spawn_job *job)
{
    job->end = spawn_alloc(sizeof(*job->end));
    *job->end = (spawn_end){.outcome = SPAWN_OUTCOME_CANCELLED};
    spawn_job_on(job, SPAWN_JOB_ENDED);
}

/* The broker is one that may start jobs. */
static inline void it_goes(void)
{
    spawn_batch_init(&batch, NULL);
    scribe->rows_end(false);
    spawn_phase.recovered = spawn_phase.going = true;
    sent = 0;
}

static inline void timers(int64_t ms)
{
    clock_ms += ms;
    spawn_timers_run(spawn_mono_ms());
}

static inline const char *why_none_is_taken(void)
{
    static spawn_failure why;

    return spawn_durable_check(&why) ? why.text : NULL;
}

#endif
