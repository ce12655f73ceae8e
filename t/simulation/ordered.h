/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that have to do with others.
 */
#ifndef SIMULATION_ORDERED_H
#define SIMULATION_ORDERED_H

#include "t/simulation/world.h"

/* A new job may want something of others. */
void ordered_new(job *j);
void ordered_write(const job *j, spawn_writer *w);
/* Does it wait for others? */
bool ordered_has(const job *j);

void ordered_launched(job *j, unsigned attempt);
/* At the end of each turn. */
void ordered_check(void);

/* Is there such a reason? */
bool ordered_may_refuse(const job *j, unsigned code, unsigned since);
bool ordered_may_cancel(const job *j);
bool ordered_refused_post(const job *j, unsigned step);
/* The other one is kept in its place. */
void ordered_kept(const job *j, const spawn_id *id);

#endif
