/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_allow.h
 * @brief SpawnAllow: what a list of patterns says of a program or a function.
 *
 * A pattern that begins with '/' is of programs, another one of functions; a
 * '!' before it excludes. A program or function that is excluded may not run,
 * wherever the '!' stands in the list. When the list has other patterns, only
 * what one of them names may run; when it has exclusions only, all else may.
 *
 * Runs in every process, and in a job's process that shares the spawner's
 * memory: must allocate nothing, and write to the caller's memory only, not
 * even to errno.
 */
#ifndef SPAWN_ALLOW_H
#define SPAWN_ALLOW_H

#include "common/spawn_proto.h"

/** Most bytes of the list of one queue, and of one pattern. */
#define SPAWN_ALLOW_MAX         16384
#define SPAWN_ALLOW_PATTERN_MAX 1024

typedef enum {
    SPAWN_ALLOW_YES = 0,
    SPAWN_ALLOW_EXCLUDED,
    SPAWN_ALLOW_NOT_LISTED
} spawn_allow;

/**
 * Does the whole name match? In patterns a '*' stands for any bytes but '/',
 * "**" for any bytes, '?' for one byte but '/', [ab], [a-z] and [!a] for one of
 * a set, and a backslash takes the next byte as it is. Names of functions have
 * no '/'.
 */
bool spawn_allow_matches(const char *pattern, const char *name);

/** Why this is no pattern (with its '!'), or NULL when it is one. */
const char *spawn_allow_bad_pattern(const char *pattern);

/** The pattern without its '!'. */
static inline const char *spawn_allow_bare(const char *pattern)
{
    return *pattern == '!' ? pattern + 1 : pattern;
}

/** The path of one program: a pattern of programs without any of the signs
 * above. */
bool spawn_allow_is_path(const char *pattern);

/**
 * May it run?
 * @param list a STRV of patterns; without id, or empty: all may.
 * @param name an absolute path, or a function's full name.
 * @param ret_rule the pattern that excludes it, with its '!'; NULL: none does.
 * May be NULL.
 */
spawn_allow spawn_allow_judge(const spawn_attr *list, const char *name,
                              const char **ret_rule);

/** Does the list allow no program at all, wherever it lies? */
bool spawn_allow_no_program(const spawn_attr *list);

/**
 * The same of a function and of the module that is loaded for it: the
 * function's own package, or one of which the list allows all functions.
 * @param load NULL: none is named.
 */
spawn_allow spawn_allow_judge_function(const spawn_attr *list,
                                       const char *function, const char *load,
                                       const char **ret_rule);

/** Could this variable (NAME=value) have a program do what another one says:
 * the loader's, or an interpreter's? */
bool spawn_allow_is_power(const char *variable);

/**
 * Open a program and say where it lies: its path without links, of the file
 * that is open.
 * @param may_wait false: only when the kernel needs no file system for it
 * (-EAGAIN else, or another error).
 * @return an O_PATH descriptor, close-on-exec, or a negative errno.
 */
int spawn_allow_open(const char *file, bool may_wait, char *path, size_t room);

/**
 * May this program run, of which path is where it lies? Paths in the list may
 * be links: they stand for the files that they lead to.
 * @param may_wait false: YES where an answer would need waiting; a process that
 * may wait judges again.
 */
spawn_allow spawn_allow_judge_file(const spawn_attr *list, const char *path,
                                   bool may_wait, const char **ret_rule);

#endif
