/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of queues by hand: pause, drain, scale. What is checked: what was
 * answered counts from then on, also with brokers that come anew, until
 * somebody wants something else.
 */
#ifndef SIMULATION_CONTROLS_H
#define SIMULATION_CONTROLS_H

#include "t/simulation/world.h"

/* some: this run has any. */
void controls_reset(bool some);

/* A change by chance, or none, for a request QUEUES: what it is. */
typedef struct {
    unsigned queue, what; /* SPAWN_QUEUE_ */
    uint64_t scale;
    unsigned number; /* of what was asked of this queue */
    bool alone;      /* nothing else was on its way then */
} control_request;
bool controls_choose(control_request *ret);
/* All is to be as httpd.conf says. False: it is, or that is asked for. */
bool controls_undo(control_request *ret);
bool controls_undone(void);

/* It is on its way now: until it is answered it may count, or not. */
void controls_ask(control_request *c);
/* A row of the answer, or a refusal. */
void controls_row(const control_request *c, const spawn_message *m);
void controls_refused(const control_request *c);
/* It will not be answered, and may still be done. */
void controls_lost(const control_request *c);
/* The store may be as it was before. */
void controls_lose_power(void);
/* At the end of each turn. */
void controls_turn(void);

/* Surely drained since before this turn, so that nothing of it was taken. */
bool controls_take_nothing(unsigned queue, unsigned since);
/* It was drained, perhaps, at some time since this turn. */
bool controls_may_refuse(unsigned queue, unsigned since);
/* Paused, so that nothing starts in this turn. */
bool controls_start_nothing(unsigned queue);
/* How many may run at once, when max_jobs may without a change. */
unsigned controls_most(unsigned queue, unsigned max_jobs);

#endif
