/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_cgroup.h
 * @brief Directories of cgroup v2: the one in which each job gets its own.
 *
 * Runs in the spawner, and in the httpd parent at its start. A function that
 * returns int returns 0 (or a descriptor) or a negative errno, and leaves its
 * outputs alone on failure.
 */
#ifndef SPAWN_CGROUP_H
#define SPAWN_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/spawn_proto.h"

/** Controllers that limits of a job need. */
#define SPAWN_CGROUP_MEMORY 1u
#define SPAWN_CGROUP_CPU    2u
#define SPAWN_CGROUP_PIDS   4u
#define SPAWN_CGROUP_ALL    7u

/** Below a directory that is our own, the first process goes here, so that the
 * directory has no processes and can give its controllers to jobs. */
#define SPAWN_CGROUP_SELF "mod_spawn.self"

/** Open such a directory, close-on-exec. -EMEDIUMTYPE: it is none of cgroup
 * v2. */
int spawn_cgroup_open(const char *path);

/** The path of the directory that this process is in (without
 * SPAWN_CGROUP_SELF) when it was given to us: systemd has marked it
 * (Delegate=), or we are no root and may write there. -EACCES: it was not;
 * -ENOENT: there is no cgroup v2. */
int spawn_cgroup_own(char *ret, size_t room);

/** The meaning of an error of spawn_cgroup_own, for people. */
const char *spawn_cgroup_why_none(int error);

/** Could a spawner of ours, which has our account and was started beside us,
 * put jobs into directories below this one? 0, as far as can be told; -EACCES:
 * it may make none there; -EPERM: it may make them, but not move a process
 * there, because it may not write to cgroup.procs of the lowest directory that
 * has both below it, whose path is put. */
int spawn_cgroup_holds(int dir, char *ret, size_t room);

/** Move all processes of this directory to SPAWN_CGROUP_SELF below it; when
 * systemd has not marked it as ours alone, only us and our descendants. The
 * number of one that is in it all the same; 0: nobody is; or a negative errno.
 */
int spawn_cgroup_step_aside(int dir);

/** Is no process in this directory itself? */
bool spawn_cgroup_is_empty(int dir);

/** Write into a file of a directory. */
int spawn_cgroup_put(int dir, const char *file, const char *text);

/** The controllers that can be used in directories below this one:
 * SPAWN_CGROUP_ bits. */
unsigned spawn_cgroup_given(int dir);
/** The same, and those that can be given to them are given. */
unsigned spawn_cgroup_controllers(int dir);

/** A number behind a word at the beginning of a line of a file, or alone in it
 * (word ""). -ENODATA: there is none. */
int spawn_cgroup_number(int dir, const char *file, const char *word,
                        unsigned long long *ret);

/** The usage of all processes that were in this directory or below it, in the
 * order from SPAWN_RU_TREE_UTIME_US on; SPAWN_RU_UNKNOWN: the kernel does not
 * tell. */
void spawn_cgroup_usage(int dir, uint64_t ret[SPAWN_RU_TREE_COUNT]);

#endif
