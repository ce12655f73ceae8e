/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of the test's own that is to a broker what a job or a worker is: it
 * has a session of its own, and waits.
 */
#ifndef BROKER_CHILD_H
#define BROKER_CHILD_H

#include "t/unit/broker_play.h"

static pid_t child;
static int64_t child_started; /* as /proc says, ms since the boot */
static int gate;

typedef enum {
    CHILD_OBEYS,
    CHILD_IGNORES_TERM,
    CHILD_LEADS_NOTHING
} child_how;

static inline void child_runs(child_how how)
{
    int ends[2];
    pid_t session;
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        if (how == CHILD_IGNORES_TERM)
            (void)signal(SIGTERM, SIG_IGN);
        if (how != CHILD_LEADS_NOTHING)
            (void)setsid();
        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    (void)close(ends[0]);
    gate = ends[1];
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
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, signo);
    (void)close(gate);
}

#endif
