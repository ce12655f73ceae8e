/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_child.h
 * @brief What a job's own process does to itself before it runs: everything
 * that can be slow or fail, in a fixed order, each step with a number.
 *
 * Runs in the forked child only: of the spawner (then exec follows) and of a
 * template (then a Perl function does). Async-signal-safe: no heap, no stdio.
 */
#ifndef SPAWN_CHILD_H
#define SPAWN_CHILD_H

#include <sys/types.h>

#include "common/spawn_proto.h"

/** An account to become. groups_count < 0: stay who we are. */
typedef struct {
    uid_t uid;
    gid_t gid;
    int groups_count;
    gid_t groups[256];
} spawn_identity;

/** Numbers below this can be asked for by a job; what the set-up itself needs
 * is lifted above them first. */
#define SPAWN_CHILD_LIFTED 64

/** Indices that descriptors of an order can have. */
#define SPAWN_CHILD_FDS (SPAWN_FDS_BOXED + SPAWN_FDS_MAX)

typedef struct {
    const spawn_message *order; /* a LAUNCH, taken apart */
    const int *fds;             /* that came with it */
    const spawn_identity *as;
    uint64_t file_limit[2];       /* soft, hard; hard 0: leave as it is */
    const uint64_t *bounding_set; /* to be kept of it; NULL: all */
    int keep[2]; /* descriptors that stay open meanwhile, close-on-exec and */
    unsigned keep_count; /* above SPAWN_CHILD_LIFTED */
    /** Tell that a step failed; must not return. */
    void (*failed)(void *arg, spawn_step step, int error);
    void *arg;
} spawn_child;

/**
 * All steps but exec: session, signals (from here on they end it, hang where it
 * may), limits, priority, bounding set, groups, gid, uid, umask, cwd, streams
 * (stderr last), descriptors, no new privileges. On return all
 * descriptors from 3 on but those that the job asked for are close-on-exec, and
 * the signal mask is empty.
 * @param lifted filled with where the order's descriptors are now, those in its
 * box from SPAWN_FDS_BOXED on; -1: there is none.
 */
void spawn_child_set_up(const spawn_child *child, int lifted[SPAWN_CHILD_FDS]);

/** Execute ARGV with ENV; a name without a slash is looked up in
 * SPAWN_DEFAULT_PATH. Returns only on failure: the step, with errno set. */
spawn_step spawn_child_exec(const spawn_child *child, char **argv, char **envp);

/** Pointers into a STRV, ended by NULL, in room (of so many) or, when there are
 * more, in memory of their own; NULL when there is none. */
char **spawn_child_vector(const spawn_attr *a, char **room, size_t rooms);

/** Become this account: groups, gid, uid. The step that failed (errno is set),
 * or SPAWN_STEP_NONE. */
spawn_step spawn_child_become(const spawn_identity *who);

/**
 * For a child that does not exec: close every descriptor from 3 on that neither
 * the job asked for nor stands in keep.
 */
void spawn_child_close_others(const spawn_child *child, const int *keep,
                              unsigned count);

#endif
