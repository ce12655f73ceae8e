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
 * What a process loses by being forked from a process that shares its memory,
 * and the library does not renew, is renewed here: the notice of the CPU that
 * it runs on (rseq).
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
static volatile pid_t job_pid; /* or a negative errno */

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

/* Only the job returns from the helper's fork. */
static pid_t fork_away(void)
{
    pid_t helper;
    int status = 0;

    helper_pid = job_pid = 0;
    helper = vfork();
    if (helper == 0) {
        pid_t pid;

        helper_pid = getpid();
        pid = fork();
        if (pid == 0) {
            spawn_template_ask_for_the_cpu();
            wait_for_the_helper();
            return 0;
        }
        job_pid = pid < 0 ? -errno : pid;
        _exit(0);
    }
    if (helper < 0)
        return -errno;
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
        continue;
    /* 0: killed, and perhaps after its fork */
    return job_pid ? job_pid : -EOWNERDEAD;
}

pid_t spawn_template_fork(bool away)
{
    sigset_t all, before;
    pid_t pid;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = away ? fork_away() : fork();
    if (pid < 0 && !away)
        pid = -errno;
    if (pid != 0)
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

void spawn_template_fork_begin(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}
