/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_numbers.h
 * @brief The numbers in a directory of /proc: processes, threads or
 * descriptors.
 */
#ifndef SPAWN_NUMBERS_H
#define SPAWN_NUMBERS_H

#include <stdbool.h>

/** Call fn for each of them, until it returns false. The position in such a
 * directory is the number, so that closing meanwhile skips none. [fork], as in
 * spawn_os.h.
 * @param fn dir is the directory's descriptor, which is among a process's own.
 * @return 0, or a negative errno. */
int spawn_numbers(const char *path, bool (*fn)(int number, int dir, void *arg),
                  void *arg);

#endif
