/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file life.h
 * @brief Where the broker is in its life: configured, ready, going, lingering,
 * quitting.
 */
#ifndef SPAWN_BROKER_LIFE_H
#define SPAWN_BROKER_LIFE_H

#include <stdbool.h>

/** Jobs may start. */
bool spawn_life_launching(void);
/** The store is open and what was in it is known. */
bool spawn_life_recovered(void);

/** What the spawner says. */
void spawn_life_configured(void);
void spawn_life_table_end(void);
void spawn_life_go(void);
void spawn_life_linger(void);
void spawn_life_quit(void);
/** The spawner has gone: the turn is ended, then the broker ends. */
void spawn_life_orphaned(void);

/** A job runs: when the broker lingers and is to kill, it is told so. */
struct spawn_job;
void spawn_life_job_runs(struct spawn_job *job);

/**
 * End of a turn, after the commit.
 * @param committed the store has all.
 */
void spawn_life_ready(bool committed);
/** End of a turn, after all was sent. May not return. */
void spawn_life_end_of_turn(bool committed);

#endif
