/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of the test's own that is to a broker what a job or a worker is: it
 * has a session of its own, and waits.
 */
#ifndef BROKER_CHILD_H
#define BROKER_CHILD_H

#include "common/spawn_process.h"
#include "t/unit/broker_play.h"

static pid_t child;
static int64_t child_started; /* as /proc says, ms since the boot */
static int gate;
static int left; /* ends when who is left of its group has ended */

typedef enum {
    CHILD_OBEYS,
    CHILD_IGNORES_TERM,
    CHILD_LEADS_NOTHING,
    CHILD_LEAVES_ONE /* in its group, who ignores TERM */
} child_how;

static inline void child_runs(child_how how)
{
    int left_ends[2] = {-1, -1};
    int ends[2];
    pid_t session;
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (how == CHILD_LEAVES_ONE)
        assert_int_equal(pipe2(left_ends, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        if (how == CHILD_IGNORES_TERM)
            (void)signal(SIGTERM, SIG_IGN);
        if (how != CHILD_LEADS_NOTHING)
            (void)setsid();
        (void)close(ends[1]);
        if (how == CHILD_LEAVES_ONE && fork() == 0) {
            (void)signal(SIGTERM, SIG_IGN);
            (void)!write(left_ends[1], "", 1); /* it does now */
            (void)!read(ends[0], &byte, 1);
            _exit(0);
        }
        spawn_close_fds(left_ends, 2);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    (void)close(ends[0]);
    gate = ends[1];
    left = left_ends[0];
    if (left >= 0) {
        (void)close(left_ends[1]);
        assert_int_equal(read(left, &byte, 1), 1);
    }
    do {
        assert_int_equal(spawn_os_process(child, &child_started, &session), 0);
    } while (how != CHILD_LEADS_NOTHING && session != child);
}

/* By itself. */
static inline void child_ends(void)
{
    int status;

    (void)close(gate);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static inline void child_was_killed(int signo)
{
    struct pollfd p = {spawn_os_pidfd(child), POLLIN, 0};
    int status;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(p.fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, signo);
    if (left < 0)
        (void)close(gate);
}

/* The process that is left has not ended, nor does it but by KILL. */
static inline void who_is_left_lives(void)
{
    struct pollfd p = {left, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 1), 0);
}

static inline void who_is_left_was_killed(void)
{
    struct pollfd p = {left, POLLIN, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(left);
    (void)close(gate);
}

/* Older kernels do not signal the group of a process that has been reaped. */
static inline bool groups_are_signalled(void)
{
    int pidfd = spawn_os_pidfd(child);
    int rv = spawn_os_group_signal(pidfd, -1, 0);

    (void)close(pidfd);
    return rv == 0;
}

#endif
