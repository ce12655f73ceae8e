/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Perl job goes back to its queue, when no process was forked for its order.
 * Runs in the broker. Must not requeue a job that may have run.
 */
#include "broker/run/requeue.h"

#include <errno.h>

#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/perl.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/template_process.h"

#define UNFORKED_MAX 10

/* It is no failure when the link was full with other orders, or when other jobs
 * were forked meanwhile. */
static bool once_too_often(spawn_perl *perl, bool waits)
{
    if (perl->forked_seen != perl->template->forked)
        perl->unforked = 0;
    perl->forked_seen = perl->template->forked;
    return !waits && ++perl->unforked >= UNFORKED_MAX;
}

const char *spawn_requeue_unforked(spawn_job *job, int error)
{
    spawn_perl *perl = job->perl;
    spawn_template_process *process = perl->ordered_from;
    bool full = error == EAGAIN;
    bool waits = full && process && process->flying > 1;

    perl->ordered_from = NULL;
    if (process)
        spawn_template_process_settled(process, false);
    if (process && full)
        spawn_template_process_full(process);
    else if (process)
        spawn_template_process_lost(process);
    if (once_too_often(perl, waits))
        return "its template has gone, or takes no orders, time and again";
    if (spawn_job_stopped(job) || job->terminated)
        return "it was cancelled before it was forked";
    if (job->fds && !job->held)
        return "its template ended before it was forked, and the handles that "
               "it was submitted with are no longer there";
    /* The store has it as starting, its note or its slot as launched; if we are
     * killed now, the next broker puts it back too. */
    spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
    if (job->held) /* in the place of those that the spawner may have still */
        spawn_link_hold(&job->id, job->held->fds, job->held->count);
    job->in_table = false;
    spawn_timer_clear(&job->timer);
    spawn_output_drop(job->streams);
    spawn_perl_close_board(job);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_job_came_back(job);
    return NULL;
}
