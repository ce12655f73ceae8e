/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file life.h
 * @brief Where the broker is in its life: configured, ready, going, lingering,
 * quitting.
 */
#ifndef SPAWN_BROKER_LIFE_H
#define SPAWN_BROKER_LIFE_H

#include "broker/broker.h"

/** Messages of the spawner. */
void spawn_life_configured(spawn_broker *broker);
void spawn_life_table_end(spawn_broker *broker);
/** The rows of the ledger are there, or do not come: run/durable.h. of: the
 * spawn_broker. */
void spawn_life_begun(void *of);
void spawn_life_go(void);
void spawn_life_linger(spawn_broker *broker);
void spawn_life_quit(spawn_broker *broker);
/** The spawner has gone: the turn comes to its end, then the broker ends. */
void spawn_life_spawner_gone(spawn_broker *broker);

/**
 * End of a turn, after the commit.
 * @param committed the store has all.
 */
void spawn_life_ready(spawn_broker *broker, bool committed);
/** End of a turn, after all was sent. May not return. */
void spawn_life_end_of_turn(spawn_broker *broker, bool committed);

#endif
