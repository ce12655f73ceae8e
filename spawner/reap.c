/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: every child that ends is looked at, its group is dealt with while the
 * dead leader still pins the number, and only then reaped. Runs in the spawner
 * only. It is the subreaper: orphans that jobs leave behind come here too and
 * are reaped without a word.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/spawn_os.h"
#include "spawner/spawner.h"

/* What jobs leave behind may end as fast as they can fork. */
#define EXITS_PER_TURN 64

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
    const long counts[] = {
        [SPAWN_RU_MAXRSS_KB] = u->ru_maxrss, [SPAWN_RU_MINFLT] = u->ru_minflt,
        [SPAWN_RU_MAJFLT] = u->ru_majflt,    [SPAWN_RU_INBLOCK] = u->ru_inblock,
        [SPAWN_RU_OUBLOCK] = u->ru_oublock,  [SPAWN_RU_NVCSW] = u->ru_nvcsw,
        [SPAWN_RU_NIVCSW] = u->ru_nivcsw};
    int i;

    j->utime_us = to_us(&u->ru_utime);
    j->stime_us = to_us(&u->ru_stime);
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        j->counts[i - 2] = to32(counts[i]);
}

static void ended(job *j)
{
    spawn_close_fds(&j->group, 1);
    j->state = JOB_ENDED;
    if (j->flags & JOB_IS_TEMPLATE)
        template_ended(j);
    if (j->flags & JOB_GIVEN_UP) { /* told long ago */
        template_forget(j);
        table_remove(j);
        return;
    }
    table_tell(j, JOB_TELL_EXITED);
}

static void note_end(job *j, int status)
{
    j->status = status;
    j->ended_ms = spawn_wall_ms();
    j->elapsed_us = spawn_mono_us() - j->mono_us;
}

/* ---- groups that outlive their leader, and have their grace ---- */

static uint32_t leaderless; /* the first one; chained by next_pid */

static void leave_to_group(job *j)
{
    j->flags |= JOB_LEADERLESS;
    j->next_pid = leaderless;
    leaderless = table_index(j);
}

static void group_ended(job *j)
{
    uint32_t *link = &leaderless;

    while (*link != table_index(j))
        link = &table_at(*link)->next_pid;
    *link = j->next_pid;
    j->flags &= (uint16_t)~JOB_LEADERLESS;
    note_end(j, j->status);
    ended(j);
}

static void look_at_groups(void)
{
    uint32_t i = leaderless;

    while (i) {
        job *j = table_at(i);

        i = j->next_pid;
        if (!spawn_os_group_lives(j->pid))
            group_ended(j);
    }
}

static int signal_group(job *j, int signo)
{
    int rv = spawn_os_group_signal(j->group, j->pid, signo);

    if (signo == SIGKILL || rv == -ESRCH)
        group_ended(j);
    return rv;
}

void reap_resume(job *j)
{
    leave_to_group(j);
}

/* ---- exits ---- */

static void job_ended(job *j, int status, const struct rusage *usage)
{
    table_drop_pid(j);
    keep_usage(j, usage);
    note_end(j, status);
    if ((j->flags & JOB_LEFT_WAIT) && spawn_os_group_lives(j->pid)) {
        leave_to_group(j);
        return;
    }
    ended(j);
}

void reap_told(job *j, int status, const spawn_attr *usage)
{
    int i;

    if (spawn_u64v_count(usage) == SPAWN_RU_COUNT) {
        j->utime_us = spawn_u64v_at(usage, SPAWN_RU_UTIME_US);
        j->stime_us = spawn_u64v_at(usage, SPAWN_RU_STIME_US);
        for (i = 2; i < SPAWN_RU_COUNT; i++)
            j->counts[i - 2] = to32((long)spawn_u64v_at(usage, (uint32_t)i));
    }
    note_end(j, status);
    ended(j);
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
    /* Whether exec happened was written before the exit: nothing is lost by
     * looking now, whatever order the events came in. */
    if (j && j->start_pipe >= 0)
        launch_progress(j);
    if (j && (j->flags & JOB_KILL_LEFT))
        (void)kill(-pid, SIGKILL);
    else if (j && (j->flags & JOB_LEFT_WAIT))
        j->group = spawn_os_pidfd(pid);
    if (wait4(pid, &status, WNOHANG, &usage) != pid)
        return;
    if (pid == spawner.broker_pid)
        brains_died(status);
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
        reap_one(info.si_pid);
    }
    spawner.exits_left = i == EXITS_PER_TURN;
    look_at_groups();
}

int reap_signal(job *j, int signo)
{
    if (j->flags & JOB_FOREIGN)
        return j->flags & JOB_IS_TEMPLATE ? template_kill(j, signo)
                                          : template_signal(j, signo);
    if (j->flags & JOB_LEADERLESS)
        return signal_group(j, signo);
    j->flags |= JOB_SHOT;
    if (kill(-j->pid, signo) == 0)
        return 0;
    /* It has not made its own session yet: there is no group to signal. */
    if (errno == ESRCH && kill(j->pid, signo) == 0)
        return 0;
    return -errno;
}
