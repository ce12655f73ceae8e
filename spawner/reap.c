/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: every child that ends is looked at, then its group is dealt with while
 * the dead leader still pins the number, and only then the child is reaped.
 * Runs in the spawner only. The spawner is the subreaper: orphans that jobs
 * leave behind come here too and are reaped silently. No job may be taken for
 * such an orphan.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/spawn_process.h"
#include "common/spawn_tree.h"
#include "spawner/spawner.h"

/* processes that jobs leave behind may end as fast as they can fork */
#define EXITS_PER_TURN 64

static void job_ended(job *j, int status, const struct rusage *usage)
{
    table_drop_pid(j);
    job_keep_usage(j, usage);
    job_note_end(j, status);
    if (j->flags & JOB_IS_TEMPLATE) {
        template_ended(j);
    }
    else if ((j->flags & JOB_LEFT_WAIT)
             && (spawn_os_group_lives(j->pid) || (j->left = tree_left(j)))) {
        job_leave_to_group(j);
        return;
    }
    job_over(j);
}

static void reap_one(pid_t pid, uid_t uid)
{
    job *j = table_by_pid(pid);
    struct rusage usage;
    int status;

    /* A template's job tells its pid before it does anything else, and then
     * whether it could be set up. Its template may have told the pid first. */
    if (j ? j->state == JOB_STARTING && j->template
          : pid != spawner.broker_pid && pid != spawner.relay.pid) {
        templates_drain();
        j = table_by_pid(pid);
        if (!j)
            j = template_claimed(pid, uid);
    }
    /* Whether exec happened was written before the exit: nothing is lost by
     * looking now, whatever order the events came in. */
    if (j && j->start_pipe >= 0)
        job_progress(j);
    if (j && j->room)
        clone_ended(j);
    if (j && (j->flags & JOB_KILL_LEFT)) {
        (void)kill(-pid, SIGKILL);
        tree_signal(j, SIGKILL);
    }
    else if (j && (j->flags & JOB_LEFT_WAIT))
        j->group = spawn_os_pidfd(pid);
    else if (!j)
        jobs_lose(pid);
    if (wait4(pid, &status, WNOHANG, &usage) != pid)
        return;
    spawn_tree_reaped(pid);
    if (pid == spawner.broker_pid)
        broker_died(status);
    else if (pid == spawner.relay.pid)
        relay_died(status);
    else if (j)
        job_ended(j, status, &usage);
}

void reap_some(void)
{
    int i;

    for (i = 0; i < EXITS_PER_TURN; i++) {
        siginfo_t info;

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0
            || info.si_pid == 0)
            break;
        reap_one(info.si_pid, info.si_uid);
    }
    spawner.exits_left = i == EXITS_PER_TURN;
    jobs_look_at_groups();
}
