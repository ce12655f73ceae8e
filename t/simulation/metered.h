/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's numbers (METERS), as a caller is told them.
 */
#ifndef SIMULATION_METERED_H
#define SIMULATION_METERED_H

#include "t/simulation/world.h"

/* A run begins. */
void metered_reset(void);
/* The memory that they are in is lost. */
void metered_lost(void);
/* A broker was killed in a turn: of what it had just stored some is not
 * counted. */
void metered_in_a_turn(void);
/* A submit was answered so. */
void metered_refused(unsigned queue, unsigned code);

/* An answer begins, has a row, and is there. */
void metered_asked(void);
void metered_row(const spawn_message *m);
void metered_end(void);

/* The last answer: nothing waits or runs any more. */
void metered_check(void);

#endif
