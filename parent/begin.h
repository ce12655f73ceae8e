/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file begin.h
 * @brief Fork and exec of the spawner.
 *
 * Runs in the spawner's parent.
 */
#ifndef SPAWN_PARENT_BEGIN_H
#define SPAWN_PARENT_BEGIN_H

#include <sys/types.h>

/**
 * Fork and exec the spawner.
 * @param wait_ms how long to wait for exec to succeed or fail.
 * @param ret_link the control link, close-on-exec; the caller's.
 * @return 0, or an errno (nothing is left running then that is not about to
 * end; after ETIMEDOUT the caller reaps it).
 */
int spawn_begin(const char *path, char *const *argv, char *const *envp,
                int wait_ms, int *ret_link, pid_t *ret_pid);

#endif
