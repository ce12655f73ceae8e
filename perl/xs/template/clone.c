/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fork whose child is our parent's child (CLONE_PARENT), so that one process,
 * the spawner, reaps programs and Perl jobs alike; or our own, where our parent
 * is httpd. Runs in a template, which has one thread.
 *
 * clone without the C library leaves the library's note of the thread id as it
 * was in the template: locks that know their owner, and pthread calls on
 * oneself, would act on the wrong thread. The kernel writes the new id where it
 * is told to; where that is, it tells itself (it was told when the process
 * began). Kernels that were built without that are helped by a look into the
 * library's memory, checked by a plain fork.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "clone.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* The library's description of a thread is larger than this everywhere. */
#define THREAD_BYTES 1024

static pid_t *tid_address;
static bool tid_looked_for;

static pid_t *address_of_kernel(void)
{
    pid_t *address = NULL;

    if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) < 0 || !address
        || *address != (pid_t)syscall(SYS_gettid))
        return NULL;
    return address;
}

/* After a fork by the library itself the right place has the child's id. */
static bool fork_confirms(const volatile pid_t *place)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(*place == (pid_t)syscall(SYS_gettid) ? 0 : 1);
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static pid_t *address_by_looking(void)
{
#ifdef __GLIBC__
    pid_t *words = (pid_t *)(uintptr_t)pthread_self();
    pid_t tid = (pid_t)syscall(SYS_gettid);
    size_t i;

    for (i = 0; i < THREAD_BYTES / sizeof(*words); i++) {
        if (words[i] == tid && fork_confirms(&words[i]))
            return &words[i];
    }
#endif
    return NULL;
}

static void look_for_tid(void)
{
    if (tid_looked_for)
        return;
    tid_looked_for = true;
    tid_address = address_of_kernel();
    if (!tid_address)
        tid_address = address_by_looking();
}

/* The order of clone's arguments differs: the address of the thread id is 4th
 * or 5th; the other one, thread storage, is not looked at. */
static long raw_clone(unsigned long flags, pid_t *tid)
{
#ifdef __s390__
    return syscall(SYS_clone, NULL, flags, NULL, tid, tid);
#else
    return syscall(SYS_clone, flags, NULL, NULL, tid, tid);
#endif
}

pid_t spawn_template_clone(bool to_parent)
{
    unsigned long flags = SIGCHLD | (to_parent ? CLONE_PARENT : 0);
    void *robust = NULL;
    size_t robust_size = 0;
    sigset_t all, before;
    long pid;
    int error;

    look_for_tid();
    if (tid_address)
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    (void)syscall(SYS_get_robust_list, 0, &robust, &robust_size);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = raw_clone(flags, tid_address);
    if (pid == 0) {
        /* the kernel forgets it in a child, the library's fork renews it */
        if (robust)
            (void)syscall(SYS_set_robust_list, robust, robust_size);
        return 0;
    }
    error = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : (pid_t)pid;
}
