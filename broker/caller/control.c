/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may change what stays changed: a queue that is paused stays so until
 * somebody undoes it, while a signal to a job is over when it is sent. So this
 * asks for more than KILL does. Runs in the broker. Keeps mistakes of jobs
 * away, and is no wall: a job that leaves its session is not recognised, and
 * has the account that the store belongs to.
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

int spawn_may_control(const spawn_peer *peer, spawn_failure *why)
{
    if (!peer->trusted)
        spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK, 0,
                          "uid %d may submit jobs, and may not change what "
                          "others find changed: root and httpd's User may",
                          (int)peer->uid);
    else if (is_of_a_job(peer->pid))
        spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_CHECK, 0,
                          "a job may not change what others find changed: "
                          "root and httpd's User may, outside of jobs");
    else
        return 0;
    return -1;
}
