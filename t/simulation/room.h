/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room in a queue, as answers tell of it: room.c.
 */
#ifndef SIMULATION_ROOM_H
#define SIMULATION_ROOM_H

#include "t/simulation/answers.h"

/* A job that came by post or spool has not started: was its queue full? */
bool room_may_have_refused(const job *j);

/* A caller was told that the queue is full. */
void room_judge_full(const job *j);

/* Could the queue of its job be full, or drained, since it was asked? */
bool room_may_be_full(const request *r);

/* At the end of each turn. */
void room_turn(void);

#endif
