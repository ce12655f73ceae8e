/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that are counted of a job that has ended. Runs in the broker.
 * Must count after the store has it: a broker that is killed before that leaves
 * it to the next one, and no job is counted twice.
 */
#include "broker/run/count.h"

#include "common/spawn_os.h"
#include "broker/base/meters.h"
#include "broker/job/queue.h"

/* Cancelled is what somebody wanted. */
static bool has_failed(const spawn_end *end)
{
    return end->outcome == SPAWN_OUTCOME_EXITED
               ? end->exit_code != 0
               : end->outcome != SPAWN_OUTCOME_CANCELLED;
}

void spawn_count_end(const spawn_job *job)
{
    const spawn_end *end = job->end;

    spawn_meter_ended(job->queue->meter, end->outcome, has_failed(end),
                      end->elapsed_us, spawn_mono_ms() / SPAWN_MINUTE_MS);
    if (job->dead)
        spawn_meter_dead(job->queue->meter);
}

void spawn_count_again(const spawn_job *job)
{
    if (job->revived)
        spawn_meter_revived(job->queue->meter);
    else
        spawn_meter_retried(job->queue->meter);
}
