/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fork.h
 * @brief The fork of Apache2::Spawn::Process: a copy of this process whose
 * parent is a waiter.
 *
 * Runs in a process that is set up. Knows nothing of Perl.
 */
#ifndef SPAWN_SERVE_FORK_H
#define SPAWN_SERVE_FORK_H

#include <sys/types.h>

/** How the waiter is executed. */
typedef struct {
    const char *program;
    int told;            /* the waiter's socket to the caller */
    const char *timeout; /* ms, "0": none */
    const char *grace;   /* ms */
} spawn_serve_waiter;

/**
 * Fork by the C library, in a session of its own. Neither the copy nor the
 * waiter is a child of this process.
 *
 * @return the copy's pid; 0 in the copy; a negative errno: no copy was made.
 */
pid_t spawn_serve_fork(const spawn_serve_waiter *waiter);

#endif
