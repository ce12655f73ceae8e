/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: every child that ends is looked at, its group is dealt with while the
 * dead leader still pins the number, and only then reaped. Runs in the spawner
 * only. It is the subreaper: orphans that jobs leave behind come here too and
 * are reaped without a word.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../common/spawn_os.h"
#include "spawner.h"

static uint32_t to32(long v)
{
    return v < 0 ? 0 : v > (long)UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint64_t to_us(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static void keep_usage(job *j, const struct rusage *u)
{
    j->utime_us = to_us(&u->ru_utime);
    j->stime_us = to_us(&u->ru_stime);
    j->counts[SPAWN_RU_MAXRSS_KB - 2] = to32(u->ru_maxrss);
    j->counts[SPAWN_RU_MINFLT - 2] = to32(u->ru_minflt);
    j->counts[SPAWN_RU_MAJFLT - 2] = to32(u->ru_majflt);
    j->counts[SPAWN_RU_INBLOCK - 2] = to32(u->ru_inblock);
    j->counts[SPAWN_RU_OUBLOCK - 2] = to32(u->ru_oublock);
    j->counts[SPAWN_RU_NVCSW - 2] = to32(u->ru_nvcsw);
    j->counts[SPAWN_RU_NIVCSW - 2] = to32(u->ru_nivcsw);
}

static void ended(job *j, int status)
{
    j->status = status;
    j->ended_ms = spawn_wall_ms();
    j->elapsed_us = spawn_mono_us() - j->mono_us;
    j->state = JOB_ENDED;
    if (j->flags & JOB_IS_TEMPLATE)
        template_ended(j);
    table_tell(j, JOB_TELL_EXITED);
}

static void job_ended(job *j, int status, const struct rusage *usage)
{
    table_drop_pid(j);
    /* Whether exec happened was written before the exit: nothing is lost by
     * looking now, whatever order the events came in. */
    if (j->start_pipe >= 0)
        launch_progress(j);
    unwatch(&j->start_pipe);
    keep_usage(j, usage);
    ended(j, status);
}

void reap_told(job *j, int status, const spawn_attr *usage)
{
    int i;

    if (usage->id && spawn_u64v_count(usage) == SPAWN_RU_COUNT) {
        j->utime_us = spawn_u64v_at(usage, SPAWN_RU_UTIME_US);
        j->stime_us = spawn_u64v_at(usage, SPAWN_RU_STIME_US);
        for (i = 2; i < SPAWN_RU_COUNT; i++)
            j->counts[i - 2] = to32((long)spawn_u64v_at(usage, (uint32_t)i));
    }
    ended(j, status);
}

static void reap_one(pid_t pid)
{
    job *j = table_by_pid(pid);
    struct rusage usage;
    int status;

    /* A template's job tells its pid before it does anything else. */
    if (!j && pid != spawner.broker_pid) {
        templates_drain();
        j = table_by_pid(pid);
    }
    if (j && (j->flags & JOB_KILL_LEFT))
        (void)kill(-pid, SIGKILL);
    if (wait4(pid, &status, WNOHANG, &usage) != pid)
        return;
    if (pid == spawner.broker_pid)
        brains_died(status);
    else if (j)
        job_ended(j, status, &usage);
}

void reap_all(void)
{
    for (;;) {
        siginfo_t info;

        memset(&info, 0, sizeof(info));
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0
            || info.si_pid == 0)
            return;
        reap_one(info.si_pid);
    }
}

int reap_signal(job *j, int signo)
{
    if (j->pid == 0 || j->state == JOB_ENDED)
        return -ESRCH;
    if (j->flags & JOB_FOREIGN)
        return template_signal(j, signo);
    if (kill(-j->pid, signo) == 0)
        return 0;
    /* It has not made its own session yet: there is no group to signal. */
    if (errno == ESRCH && kill(j->pid, signo) == 0)
        return 0;
    return -errno;
}
