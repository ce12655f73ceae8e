/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork of Perl jobs. Runs in a template, which has one thread.
 *
 * A job has to be the spawner's child, so that one process reaps programs and
 * Perl jobs alike and a template can be killed at any moment. And it has to be
 * forked by the C library: only then do the handlers of pthread_atfork run, by
 * which a library that keeps random state, locks or connections learns that it
 * is in another process (without them the jobs of a template send the same TLS
 * randoms). The library cannot fork for somebody else (CLONE_PARENT). So there
 * is a helper in between that costs no copy of memory: it is made by vfork and
 * has ours, forks the job, and ends. The kernel then gives the job to the
 * nearest subreaper. Handlers before and after a fork that run in the helper
 * lock and unlock what is ours.
 *
 * A process that is forked from a process that shares its memory loses the
 * notice of the CPU that it runs on (rseq), which the library does not renew:
 * it is renewed here.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perl/xs/template/cpu.h"
#include "perl/xs/template/fork.h"

/* The helper notes this in the memory that it shares with us; the job has a
 * copy. */
static volatile pid_t helper_pid;
static volatile pid_t job_pids[SPAWN_FORK_MOST]; /* or a negative errno */

/* In the job: wait until its helper has ended and the job is the subreaper's
 * child. The kernel's signal says so; when it is left over, it is ignored
 * before signals are unblocked. */
static void wait_for_the_helper(void)
{
    sigset_t given_away;
    int signo;

    (void)sigemptyset(&given_away);
    (void)sigaddset(&given_away, SIGCHLD);
    (void)prctl(PR_SET_PDEATHSIG, SIGCHLD, 0, 0, 0);
    while (getppid() == helper_pid)
        (void)sigwait(&given_away, &signo);
    (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

/* Only jobs return from the helper's forks. */
static int fork_away(unsigned count)
{
    volatile unsigned i; /* the job's is its own */
    pid_t helper;
    int status = 0;

    helper_pid = 0;
    for (i = 0; i < count; i++)
        job_pids[i] = 0;
    helper = vfork();
    if (helper == 0) {
        helper_pid = getpid();
        for (i = 0; i < count; i++) {
            pid_t pid = fork();

            if (pid == 0) {
                spawn_template_ask_for_the_cpu();
                wait_for_the_helper();
                return (int)i;
            }
            job_pids[i] = pid < 0 ? -errno : pid;
        }
        _exit(0);
    }
    if (helper < 0) {
        for (i = 0; i < count; i++)
            job_pids[i] = -errno;
        return -1;
    }
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
        continue;
    return -1;
}

static int fork_ours(unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        pid_t pid = fork();

        if (pid == 0)
            return (int)i;
        job_pids[i] = pid < 0 ? -errno : pid;
    }
    return -1;
}

int spawn_template_fork_some(bool away, unsigned count, pid_t *ret_pids)
{
    sigset_t all, before;
    unsigned i;
    int which;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    which = away ? fork_away(count) : fork_ours(count);
    if (which >= 0)
        return which;
    /* 0: the helper was killed, and perhaps after its fork */
    for (i = 0; i < count; i++)
        ret_pids[i] = job_pids[i] ? job_pids[i] : -EOWNERDEAD;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return -1;
}

pid_t spawn_template_fork(bool away)
{
    pid_t pid;

    return spawn_template_fork_some(away, 1, &pid) < 0 ? pid : 0;
}

void spawn_template_fork_begin(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}
