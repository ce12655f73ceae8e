/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_child.h
 * @brief The steps that a job's own process takes before the job runs:
 * everything that can be slow or fail, in a fixed order, each step with a
 * number.
 *
 * Runs in the job's process only: a child of the spawner (then exec follows) or
 * of a template (then a Perl function does). Async-signal-safe: no heap, no
 * stdio; nothing here writes to errno or to other memory than the caller's, but
 * for an order with a box and a vector without room.
 */
#ifndef SPAWN_CHILD_H
#define SPAWN_CHILD_H

#include <sys/types.h>

#include "common/spawn_proto.h"

#define SPAWN_GROUPS_MAX 256

/** An account to become. groups_count < 0: keep our own. */
typedef struct {
    uid_t uid;
    gid_t gid;
    int groups_count;
    gid_t groups[SPAWN_GROUPS_MAX];
} spawn_identity;

/** Jobs can ask for numbers below this; the set-up first moves its own
 * descriptors above. */
#define SPAWN_CHILD_LIFTED 64

/** How many indices the descriptors of an order can have. */
#define SPAWN_CHILD_FDS (SPAWN_FDS_BOXED + SPAWN_FDS_MAX)

typedef struct {
    const spawn_message *order; /* a LAUNCH, taken apart */
    const int *fds;             /* that came with it */
    bool leads;                 /* it is the leader of its session already */
    const spawn_identity *as;
    uint64_t file_limit[2];       /* soft, hard; hard 0: leave as it is */
    const uint64_t *bounding_set; /* capabilities that stay; NULL: all */
    int keep[2]; /* descriptors that stay open meanwhile, close-on-exec and */
    unsigned keep_count; /* above SPAWN_CHILD_LIFTED */
    /** Reports that a step failed; must not return. */
    void (*failed)(void *arg, spawn_step step, int error);
    void *arg;
} spawn_child;

/**
 * All steps but exec: session, signals (from here on they end it, wherever it
 * hangs), limits, priority, bounding set, groups, gid, uid, umask, cwd, streams
 * (stderr last), descriptors, no new privileges. On return all descriptors from
 * 3 on are close-on-exec but those that the job asked for, and the signal mask
 * is empty.
 * @param lifted filled with the present numbers of the order's descriptors,
 * those of its box from SPAWN_FDS_BOXED on; -1: none.
 */
void spawn_child_set_up(const spawn_child *child, int lifted[SPAWN_CHILD_FDS]);

/** Execute a file. Returns only on failure: the step, and its errno. */
typedef spawn_step (*spawn_child_execute)(const char *file, char **argv,
                                          char **envp, const void *arg,
                                          int *ret_error);

/** Execute argv with envp; a name without a slash is looked up in
 * SPAWN_DEFAULT_PATH. Returns only on failure: the step, and its errno. */
spawn_step spawn_child_exec(char **argv, char **envp, int *ret_error);
/** The same, with another way to execute each file that it may be. */
spawn_step spawn_child_exec_by(spawn_child_execute execute, const void *arg,
                               char **argv, char **envp, int *ret_error);

/** Pointers into a STRV, ended by NULL, in room (of so many) or, when there are
 * more, in memory of their own; NULL when there is none. */
char **spawn_child_vector(const spawn_attr *a, char **room, size_t rooms);

/** Become this account: groups, gid, uid. The step that failed, and its errno,
 * or SPAWN_STEP_NONE. */
spawn_step spawn_child_become(const spawn_identity *who, int *ret_error);

/**
 * For a child that does not exec: close every descriptor from 3 on that the job
 * did not ask for and that is not in keep.
 */
void spawn_child_close_others(const spawn_child *child, const int *keep,
                              unsigned count);

#endif
