/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file turn.h
 * @brief The end of a turn: one commit for all, then what depended on it.
 */
#ifndef SPAWN_BROKER_TURN_H
#define SPAWN_BROKER_TURN_H

/** The end of each turn of the loop.
 * @param of the spawn_broker (broker.h). */
void spawn_turn_end(void *of);

#endif
