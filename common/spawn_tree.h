/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_tree.h
 * @brief The processes of a job that have left its process group.
 *
 * Runs in the parent of jobs, which is a subreaper: the spawner, or a template
 * that httpd has forked; and in the spawner in the place of such a template. A
 * function that returns int returns 0 or a negative errno.
 */
#ifndef SPAWN_TREE_H
#define SPAWN_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_id.h"

/**
 * The mark of a job, and of each attempt at it. It is the soft limit of the
 * time that a process may run with a real-time priority without a pause
 * (RLIMIT_RTTIME, in microseconds): more than a hundred thousand years, so that
 * it limits nothing. Every process that the job makes inherits it, in any
 * session and below any parent, and all may see it.
 */
uint64_t spawn_tree_mark(const spawn_id *id, unsigned attempt);

/** Does a process have this mark? */
bool spawn_tree_has_mark(pid_t pid, uint64_t mark);

/** Whose processes are looked for. */
typedef struct {
    uint64_t mark;
    pid_t group; /* the job's process, or its number while that is pinned */
    bool leads;  /* that process is not reaped yet */
    /** 0: the caller is the job's parent. Else this process is, and may reap
     * when it likes; leader is a pidfd of the job's process. */
    pid_t parent;
    int leader;
    /** The values that were read of a child of the caller hold until the caller
     * says that it is reaped (spawn_tree_reaped). */
    bool remembers;
    /** Is this child of the caller known as something else? */
    bool (*is_other)(pid_t pid);
    /** May a process with this real account have only taken the mark over? Any
     * process can. NULL: that is not asked. */
    bool (*is_stranger)(uid_t uid);
} spawn_tree;

/** So many processes of one job are found. */
#define SPAWN_TREE_MOST 512

typedef struct {
    unsigned signalled;
    unsigned unreached; /* there, but the system has refused the signal */
    pid_t example;      /* one of these */
    int error;          /* errno of its signal */
    bool cut;           /* there may be more than were found */
} spawn_tree_found;

/**
 * Signal the processes of a job outside of its group: what the job's process
 * has below it, and children of the caller that have the job's mark, with all
 * that is below them. With SIGKILL it is looked again until nothing new is
 * there. A child of the caller keeps its number until the caller reaps it;
 * others are signalled by a pidfd, after a second look. In another parent's
 * place: what that one has as children, and all by a pidfd.
 * @return -EOPNOTSUPP: the kernel does not list children. Another error: some
 * of them could not be looked for, and those that were found are signalled.
 */
int spawn_tree_signal(const spawn_tree *tree, int signo, spawn_tree_found *ret);

/** A child of the caller that is the job's, has not ended and is outside of its
 * group. 0: none is left. Or an errno, as above, when none was found. */
pid_t spawn_tree_left(const spawn_tree *tree);

/** The CPU time that a process and all below it have used, in ms (10 ms steps).
 * It is less when one of them has gone. -1: the process is not there, or is not
 * shown to us. */
int64_t spawn_tree_cpu_ms(pid_t pid);

/** The caller has reaped this child: its number can be another one's. */
void spawn_tree_reaped(pid_t pid);

#endif
