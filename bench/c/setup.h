/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file setup.h
 * @brief The set-up that mod_spawn gives its jobs, in the least code: for the
 * programs that show the machine's limit. Runs in a child, also in one that
 * shares its parent's memory: it only makes calls and execs.
 */
#ifndef BENCH_SETUP_H
#define BENCH_SETUP_H

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char *const environment[] = {
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "HOME=/",
    "USER=nobody",
    "LOGNAME=nobody",
    "LANG=C.UTF-8",
    "SPAWN_JOB_ID=01234567-89ab-7cde-8f01-23456789abcd",
    "SPAWN_QUEUE=default",
    NULL};

/* The steps of common/spawn_child.c, in the same order. */
static inline void set_up_and_exec(char **argv, uid_t uid, gid_t gid)
{
    const struct rlimit files = {1024, 1024};
    const struct sched_param none = {0};
    sigset_t empty;
    int i;

    if (close_range(3, ~0U, 0) < 0 || setsid() < 0
        || setrlimit(RLIMIT_NOFILE, &files) < 0
        || sched_setscheduler(0, SCHED_OTHER, &none) < 0)
        _exit(126);
    if (geteuid() == 0
        && (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0
            || setresuid(uid, uid, uid) < 0))
        _exit(126);
    (void)umask(022);
    if (chdir("/") < 0)
        _exit(126);
    for (i = 0; i < 3; i++) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);

        if (fd < 0 || dup2(fd, i) < 0)
            _exit(126);
        (void)close(fd);
    }
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    (void)sigemptyset(&empty);
    (void)sigprocmask(SIG_SETMASK, &empty, NULL);
    (void)execve(argv[0], argv, environment);
    _exit(127);
}

#endif
