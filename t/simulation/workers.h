/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers, and the template that they are forked from.
 */
#ifndef SIMULATION_WORKERS_H
#define SIMULATION_WORKERS_H

#include "t/simulation/world.h"

#define WORKER_QUEUE 1 /* the queue whose jobs are calls */

/* ---- a run ---- */

/* One could not get ready. */
extern bool workers_failed;

/* some: this run has any. */
void workers_reset(bool some);
void workers_close(void);

/* ---- what the broker is told ---- */

void workers_put_rules(spawn_writer *w);
void workers_put_template(spawn_writer *w);
/* To a broker that is new. */
void workers_table(void);

/* ---- what it says ---- */

/* False: it is about none of them. p: its descriptors are taken. */
bool workers_obey(const spawn_message *m, spawn_packet *p);
bool workers_forget(const spawn_id *id);
/* It is about to have this worker signalled, for this call. */
void workers_signal_is_for(const spawn_id *id, const job *j);
/* Each takes at once the messages that it was sent. */
void workers_hear(void);
/* At the end of each turn. */
void workers_check(void);
/* Does the spawner know it? */
bool workers_has(const spawn_id *id);
/* How this one ended, as of wait(2), also when it is forgotten. */
int workers_status(const spawn_id *id);
/* Is any of them lent? */
bool workers_lent(void);
/* To the broker this worker was there, at some time since that turn. */
bool workers_end_unknown(const spawn_id *id, unsigned turn);

/* ---- what happens to them ---- */

/* False: there is none. */
bool workers_something(void);
/* All of them go on. False: none had anything to do. */
bool workers_all(void);
/* The spawner has gone, and with it what it kept. */
void workers_lose_spawner(void);
/* The broker has gone: by a kill, or at the end of a turn. */
void workers_lose_broker(bool killed);

#endif
