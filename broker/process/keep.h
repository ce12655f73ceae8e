/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file keep.h
 * @brief Descriptors that the spawner keeps for a process, by their roles.
 */
#ifndef SPAWN_BROKER_PROCESS_KEEP_H
#define SPAWN_BROKER_PROCESS_KEEP_H

#include "common/spawn_proto.h"

/**
 * Take the descriptor of a role out of those that came with RUNNING.
 * @param m checked: its indexes are those of fds.
 * @param fds the taken one is -1 afterwards.
 * @return the descriptor, which is the caller's, or -1: there is none.
 */
int spawn_keep_take(const spawn_message *m, int *fds, spawn_keep_role role);

#endif
