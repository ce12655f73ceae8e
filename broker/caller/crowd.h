/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file crowd.h
 * @brief How many connections an account has that SpawnAccess lets in.
 */
#ifndef SPAWN_BROKER_CALLER_CROWD_H
#define SPAWN_BROKER_CALLER_CROWD_H

#include <stdbool.h>
#include <sys/types.h>

/** One more; false: it has as many as an account may have, and this one is not
 * counted. */
bool spawn_crowd_join(uid_t uid);
/** One that was counted has gone, or counts no longer. */
void spawn_crowd_leave(uid_t uid);

#endif
