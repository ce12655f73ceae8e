/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file life.h
 * @brief Where the broker is in its life: configured, ready, going, lingering,
 * quitting.
 */
#ifndef SPAWN_BROKER_LIFE_H
#define SPAWN_BROKER_LIFE_H

#include <stdbool.h>

/** Messages of the spawner. */
void spawn_life_configured(void);
void spawn_life_table_end(void);
void spawn_life_go(void);
void spawn_life_linger(void);
void spawn_life_quit(void);
/** The spawner has gone: the turn comes to its end, then the broker ends. */
void spawn_life_spawner_gone(void);

/**
 * End of a turn, after the commit.
 * @param committed the store has all.
 */
void spawn_life_ready(bool committed);
/** End of a turn, after all was sent. May not return. */
void spawn_life_end_of_turn(bool committed);

#endif
