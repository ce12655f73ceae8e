/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork of a process that is set up, and its waiter. Runs in the process
 * that is copied.
 *
 * The memory is copied once, by the C library's fork, so that every library
 * learns of it; the cost is the size of the process. Two helpers are made by
 * vfork, one in the other, and share our memory while we stand still: they must
 * write nothing there but what is noted below. The inner helper forks the copy
 * and becomes its waiter, a small program. The outer helper ends, so that the
 * waiter is no child of ours: a function that waits for its children finds none
 * that it did not make.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/spawn_sweep.h"
#include "perl/xs/template/cpu.h"
#include "perl/xs/serve/fork.h"

#define TOLD 3 /* of the waiter */

/* AddressSanitizer's vfork keeps one return address, that of the inner helper,
 * and its notes about a helper's stack would count for ours after the exec. */
#ifdef __SANITIZE_ADDRESS__
pid_t __vfork(void) __attribute__((returns_twice));
#define vfork()       __vfork()
#define NOTHING_NOTED __attribute__((no_sanitize_address))
#else
#define NOTHING_NOTED
#endif

/* The helpers note this in the memory that they share with us. */
static volatile pid_t copy_pid; /* or a negative errno */

/* In the helper that becomes the waiter: get rid of what it has of this
 * process. Returns an errno. */
NOTHING_NOTED static int set_up(int told)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t ending;
    int null, i, lifted = fcntl(told, F_DUPFD_CLOEXEC, TOLD + 1);

    (void)setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (i = 0; null >= 0 && i < TOLD; i++)
        (void)dup2(null, i);
    if (lifted < 0 || dup2(lifted, TOLD) < 0
        || spawn_os_cloexec_from(TOLD + 1) < 0)
        return errno ? errno : EIO;
    /* it reads the end of its child by signalfd, which needs both */
    (void)sigaction(SIGCHLD, &by_default, NULL);
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGCHLD);
    (void)sigprocmask(SIG_SETMASK, &ending, NULL);
    return 0;
}

/* The copy and its waiter are processes of their own: they do not end with the
 * job that this process is (common/spawn_tree.h). */
NOTHING_NOTED static void leave_job(void)
{
    struct rlimit mark;

    if (getrlimit(RLIMIT_RTTIME, &mark) == 0) {
        mark.rlim_cur = mark.rlim_max;
        (void)setrlimit(RLIMIT_RTTIME, &mark);
    }
}

/* In the inner helper, whose descriptors and signals are its own. Returns only
 * when the waiter cannot be executed, and then there is no copy either. */
NOTHING_NOTED static void become_waiter(const spawn_serve_waiter *waiter,
                                        pid_t copy)
{
    char title[48], pid[24];
    char *argv[] = {title, pid, (char *)waiter->timeout, (char *)waiter->grace,
                    NULL};
    char *envp[] = {NULL};
    int error;

    (void)snprintf(title, sizeof(title), "spawn waiter of %ld", (long)copy);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)copy);
    error = set_up(waiter->told);
    if (!error) {
        (void)execve(waiter->program, argv, envp);
        error = errno;
    }
    (void)kill(copy, SIGKILL);
    while (waitpid(copy, NULL, 0) < 0 && errno == EINTR)
        continue;
    copy_pid = -error;
}

NOTHING_NOTED static pid_t fork_between(const spawn_serve_waiter *waiter)
{
    pid_t outer, inner;

    copy_pid = -EOWNERDEAD;
    outer = vfork();
    if (outer == 0) {
        inner = vfork();
        if (inner == 0) {
            pid_t copy;

            leave_job();
            copy = fork();
            if (copy == 0) {
                spawn_template_ask_for_the_cpu();
                (void)setsid();
                return 0;
            }
            copy_pid = copy < 0 ? -errno : copy;
            if (copy > 0)
                become_waiter(waiter, copy);
            _exit(1);
        }
        if (inner < 0)
            copy_pid = -errno;
        _exit(0);
    }
    if (outer < 0)
        return -errno;
    while (waitpid(outer, NULL, 0) < 0 && errno == EINTR)
        continue;
    return copy_pid;
}

pid_t spawn_serve_fork(const spawn_serve_waiter *waiter)
{
    sigset_t all, before;
    pid_t pid;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork_between(waiter);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}
