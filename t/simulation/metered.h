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

/* Somebody asks; one at a time. */
void metered_asked(void);
bool metered_is_asked(void);
/* A message of the answer; or there will be none. */
void metered_judge(const spawn_message *m);
void metered_unanswered(void);

/* The last answer: nothing waits or runs any more. */
void metered_check(void);

#endif
