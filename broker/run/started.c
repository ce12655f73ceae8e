/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STARTED: the process of a job, a template or a worker is there. Runs in the
 * broker. Must leave a job alone that has ended meanwhile.
 */
#include "broker/run/started.h"

#include "common/spawn_os.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/perl.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"
#include "broker/run/end.h"
#include "broker/run/report.h"

/* There may be a thousand workers, which have no table as jobs have. */
static void no_job_started(const spawn_id *id, const spawn_message *m)
{
    spawn_template_process *process = spawn_template_process_find(id);
    spawn_worker *worker = spawn_worker_find(id);

    if (process)
        spawn_template_process_started(process, m);
    if (worker)
        spawn_worker_started(worker, m);
}

void spawn_started(const spawn_id *id, const spawn_message *m)
{
    spawn_job *job = spawn_job_find(id);
    int64_t now = spawn_mono_ms();

    if (!job)
        no_job_started(id, m);
    if (!job || job->state != SPAWN_STATE_STARTING)
        return;
    job->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    job->mono_started =
        (int64_t)spawn_u64_or(m, SPAWN_A_MONO_STARTED, (uint64_t)now);
    job->boot_started = (int64_t)spawn_u64_or(m, SPAWN_A_BOOT_STARTED, 0);
    job->started_at =
        (int64_t)spawn_u64_or(m, SPAWN_A_STARTED_AT, (uint64_t)spawn_wall_ms());
    spawn_perl_settled(job, true);
    spawn_end_arm(job, now - job->mono_started);
    if (spawn_u64_or(m, SPAWN_A_STATE, SPAWN_STATE_RUNNING)
        == SPAWN_STATE_STARTING) {
        spawn_job_changed(job); /* for callers that ask for its pid */
        spawn_end_at_stop(job);
        return;
    }
    spawn_job_on(job, SPAWN_JOB_BEGAN);
    if (job->starts_awaited)
        spawn_job_changed(job);
    else
        spawn_job_changed_soon(job);
    spawn_report_start(job);
    if (m->header.type != SPAWN_M_EXITED) /* it has ended by itself */
        spawn_end_at_stop(job);
}

void spawn_started_with_end(const spawn_id *id, const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_MONO_STARTED) && spawn_has(m, SPAWN_A_PID))
        spawn_started(id, m);
}
