/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job as a table. Runs in the broker. No other file may write
 * job->state.
 */
#include "broker/job/state.h"

#include <stdlib.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/meters.h"
#include "broker/job/queue.h"
#include "broker/job/unique.h"

#define STATES (SPAWN_STATE_DONE + 1)

enum {
    NONE = SPAWN_STATE_NONE,
    QUEUED = SPAWN_STATE_QUEUED,
    STARTING = SPAWN_STATE_STARTING,
    RUNNING = SPAWN_STATE_RUNNING,
    DONE = SPAWN_STATE_DONE,
    NEVER = -1
};

/* clang-format off */
static const struct {
    const char *name;
    int8_t next[STATES];
} events[SPAWN_JOB_EVENTS] = {
    /*                                                NONE      QUEUED    STARTING  RUNNING  DONE */
    [SPAWN_JOB_SUBMITTED]      = {"submitted",      { QUEUED,   NEVER,    NEVER,    NEVER,   NEVER }},
    [SPAWN_JOB_ORDERED]        = {"ordered",        { NEVER,    STARTING, NEVER,    NEVER,   NEVER }},
    [SPAWN_JOB_BEGAN]          = {"began",          { NEVER,    NEVER,    RUNNING,  NEVER,   NEVER }},
    [SPAWN_JOB_FOUND_STARTING] = {"found starting", { STARTING, NEVER,    NEVER,    NEVER,   NEVER }},
    [SPAWN_JOB_FOUND_RUNNING]  = {"found running",  { RUNNING,  NEVER,    RUNNING,  RUNNING, NEVER }},
    [SPAWN_JOB_CAME_BACK]      = {"came back",      { QUEUED,   NEVER,    QUEUED,   QUEUED,  QUEUED }},
    [SPAWN_JOB_ENDED]          = {"ended",          { DONE,     DONE,     DONE,     DONE,    NEVER }},
    [SPAWN_JOB_RETRIED]        = {"retried",        { NEVER,    NEVER,    NEVER,    NEVER,   QUEUED }},
    [SPAWN_JOB_UNDONE]         = {"undone",         { NEVER,    NONE,     NONE,     NEVER,   NONE }},
};
/* clang-format on */

int spawn_job_next_state(spawn_job_event event, unsigned state)
{
    return state < STATES ? events[event].next[state] : NEVER;
}

static void cannot_happen(const spawn_job *job, spawn_job_event event)
    __attribute__((noreturn));

static void cannot_happen(const spawn_job *job, spawn_job_event event)
{
    char id[SPAWN_ID_TEXT];

    spawn_log(SPAWN_LOG_CRIT,
              MSNO(0690) "a fault in mod_spawn: job %s is %s, and '%s' "
                         "happened to it; the broker ends, and another one "
                         "takes its place",
              spawn_id_format(&job->id, id), spawn_state_name(job->state),
              events[event].name);
    abort();
}

void spawn_job_on(spawn_job *job, spawn_job_event event)
{
    int next = spawn_job_next_state(event, job->state);

    if (next == NEVER)
        cannot_happen(job, event);
    if (job->state == QUEUED)
        spawn_queue_take_out(job);
    spawn_queue_count(job, -1);
    job->state = (uint8_t)next;
    job->launch = false; /* the order was for the state before */
    spawn_queue_count(job, +1);
    if (event == SPAWN_JOB_BEGAN)
        spawn_meter_started(job->queue->meter, spawn_queue_waited_ms(job),
                            spawn_mono_ms() / SPAWN_MINUTE_MS);
    if (next == RUNNING && job->claim)
        spawn_claim_began(job);
    if (next == QUEUED) {
        job->pid = 0; /* it has no process, any more */
        job->boot_started = 0;
        spawn_queue_put_in(job, event == SPAWN_JOB_CAME_BACK);
    }
}
