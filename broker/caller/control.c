/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs do not change what stays changed: a queue that is paused stays so until
 * somebody undoes it, while a signal to a job is over when it is sent. So this
 * asks for more than KILL does, and more than the right to it (access.h). Runs
 * in the broker. Keeps mistakes of jobs away, and is no wall: a job that leaves
 * its session is not recognised, and can have the account that the store
 * belongs to.
 */
#include "broker/caller/control.h"

#include <stdbool.h>
#include <unistd.h>

#include "common/spawn_process.h"
#include "broker/job/job.h"
#include "broker/process/worker.h"

/* A job of which the spawner has not told yet. */
static bool is_of_the_spawner(pid_t pid)
{
    pid_t parent;

    return spawn_os_parent(pid, &parent) == 0 && parent == getppid();
}

/* Each job and each worker begins a session, which has the number of its
 * process. One whose spawner has gone is known by that. A caller of another pid
 * namespace has no number here, and is no job. */
static bool is_of_a_job(pid_t pid)
{
    pid_t session = pid > 0 ? getsid(pid) : 0;
    const spawn_worker *w;
    const spawn_job *job;

    if (session < 0)
        return true;  /* it has gone: nobody knows what it was */
    if (session == 0) /* that began outside of our namespace */
        return false;
    if (is_of_the_spawner(session))
        return true;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->pid == session && job->state != SPAWN_STATE_DONE)
            return true;
    }
    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        if (w->pid == session)
            return true;
    }
    return false;
}

int spawn_control_check(const spawn_peer *peer, spawn_failure *why)
{
    if (!is_of_a_job(peer->pid))
        return 0;
    spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK, 0,
                      "a job may not change what others find changed: root, "
                      "httpd's User and who has 'control' by SpawnAccess may, "
                      "outside of jobs");
    return -1;
}
