/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file turn.h
 * @brief The end of a turn: one commit for all, then what depended on it.
 */
#ifndef SPAWN_BROKER_TURN_H
#define SPAWN_BROKER_TURN_H

#include "broker/job/job.h"
#include "broker/caller/connection.h"

/** The job has changed: its state is stored at the end of this turn. */
void spawn_turn_touch(spawn_job *job);

/** Answer when the turn is committed: ACCEPTED with the job's state then, or
 * DONE; REFUSED when the store fails. */
void spawn_turn_accepted(spawn_peer *peer, uint32_t seq, spawn_job *job);
void spawn_turn_done(spawn_peer *peer, uint32_t seq, spawn_job *job);

/** The store could not be written a moment ago. */
bool spawn_turn_failing(void);

/** The end of each turn. */
void spawn_turn_end(void);

#endif
