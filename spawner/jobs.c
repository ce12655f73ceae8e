/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the table as processes: one could not be started, has executed its
 * program, has ended, is signalled; and groups that outlive their leader. Runs
 * in the spawner only. Must not signal a number that may be another process's
 * by now.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"

void job_failed(job *j, spawn_step step, int error)
{
    j->step = (uint8_t)step;
    j->error = error;
    j->ended_ms = spawn_wall_ms();
    j->state = JOB_ENDED;
    cgroup_leave(j);
    table_tell(j, JOB_TELL_EXITED);
}

void job_progress(job *j)
{
    int32_t what[2];
    ssize_t n;

    n = read(j->start_pipe, what, sizeof(what));
    if (n < 0)
        return; /* nothing yet, or it was read or given up in this turn */
    unwatch(&j->start_pipe);
    if (n == (ssize_t)sizeof(what)) {
        j->step = (uint8_t)what[0];
        j->error = what[1];
        return; /* EXITED follows when it is reaped */
    }
    /* It has executed its program, or a signal of ours ended it before. */
    if (!(j->flags & JOB_SHOT) || spawn_os_only_forked(j->pid) != 1)
        job_executes(j);
}

/* A process before exec is not dumpable, as we are not: only root can write the
 * value of its session. Its program is, a moment after the kernel has closed
 * the pipe that tells of the exec. */
static void make_session_nice(const job *j)
{
    int tries = 3;

    while (spawn_os_session_nice(j->pid, j->nice) == -EACCES && --tries > 0)
        spawn_os_nap(100);
}

void job_executes(job *j)
{
    if (j->nice)
        make_session_nice(j);
    j->state = JOB_RUNNING;
    table_tell(j, JOB_TELL_STARTED);
}

static uint32_t to32(long v)
{
    return v < 0 ? 0 : v > (long)UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static uint64_t to_us(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

void job_keep_usage(job *j, const struct rusage *u)
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

void job_over(job *j)
{
    spawn_close_fds(&j->group, 1);
    if (j->flags & (JOB_KILL_LEFT | JOB_LEFT_WAIT))
        cgroup_kill(j); /* processes that hide */
    cgroup_usage(j);
    cgroup_leave(j);
    j->state = JOB_ENDED;
    if (j->flags & JOB_GIVEN_UP) { /* told long ago */
        template_forget(j);
        table_remove(j);
        return;
    }
    table_tell(j, JOB_TELL_EXITED);
}

/* It ended before it had the order, or when it was not set up yet: it has not
 * run, and is ordered again. A signal of ours is another thing. */
static bool never_took_it(const job *j)
{
    return j->state == JOB_STARTING && !j->step
           && (j->flags & (JOB_SPARE | JOB_SHOT)) == JOB_SPARE;
}

void job_note_end(job *j, int status)
{
    if (never_took_it(j)) {
        j->step = SPAWN_STEP_TEMPLATE;
        j->error = EAGAIN;
    }
    j->status = status;
    j->ended_ms = spawn_wall_ms();
    j->elapsed_us = spawn_mono_us() - j->mono_us;
}

void job_leave_to_group(job *j)
{
    j->flags |= JOB_LEADERLESS;
    j->next_pid = spawner.leaderless;
    spawner.leaderless = table_index(j);
}

static void group_ended(job *j)
{
    uint32_t *link = &spawner.leaderless;

    while (*link != table_index(j))
        link = &table_at(*link)->next_pid;
    *link = j->next_pid;
    j->left = 0;
    j->flags &= (uint16_t)~JOB_LEADERLESS;
    job_note_end(j, j->status);
    job_over(j);
}

void jobs_look_at_groups(void)
{
    uint32_t i = spawner.leaderless;

    while (i) {
        job *j = table_at(i);

        i = j->next_pid;
        if (spawn_os_group_lives(j->pid))
            continue;
        if (!j->left)
            j->left = tree_left(j);
        if (!j->left)
            group_ended(j);
    }
}

void jobs_lose(pid_t pid)
{
    uint32_t i;

    for (i = spawner.leaderless; i; i = table_at(i)->next_pid) {
        if (table_at(i)->left == pid)
            table_at(i)->left = 0;
    }
}

static int signal_group(job *j, int signo)
{
    int rv = spawn_os_group_signal(j->group, j->pid, signo);

    if (signo != SIGKILL && rv == -ESRCH && !j->left)
        j->left = tree_left(j);
    if (signo != SIGKILL && j->left)
        return 0;
    if (signo == SIGKILL || rv == -ESRCH)
        group_ended(j);
    return rv;
}

void job_told(job *j, int status, const spawn_attr *usage)
{
    int i;

    if (spawn_u64v_count(usage) == SPAWN_RU_COUNT) {
        j->utime_us = spawn_u64v_at(usage, SPAWN_RU_UTIME_US);
        j->stime_us = spawn_u64v_at(usage, SPAWN_RU_STIME_US);
        for (i = 2; i < SPAWN_RU_COUNT; i++)
            j->counts[i - 2] = to32((long)spawn_u64v_at(usage, (uint32_t)i));
    }
    job_note_end(j, status);
    job_over(j);
}

int job_signal(job *j, int signo)
{
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
