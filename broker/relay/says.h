/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file says.h
 * @brief What the relay says, and what it is told at its start.
 */
#ifndef SPAWN_BROKER_RELAY_SAYS_H
#define SPAWN_BROKER_RELAY_SAYS_H

#include "broker/job/changes.h"

/** The spawner has started a relay; fd, which is taken over, is the link. */
void spawn_relay_begin(spawn_batch *batch, int fd);

/** The configuration may be another one. */
void spawn_relay_ruled(void);

#endif
