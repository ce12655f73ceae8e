/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file turn.h
 * @brief The end of a turn: one commit for all, then what depended on it.
 */
#ifndef SPAWN_BROKER_TURN_H
#define SPAWN_BROKER_TURN_H

#include "broker/broker.h"

/** Before the first turn. */
void spawn_turn_open(spawn_broker *broker);

/** The end of each turn of the loop.
 * @param of the spawn_broker (broker.h). */
void spawn_turn_end(void *of);

#endif
