/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that are bound to the connection of their caller. */
#ifndef SIMULATION_BOUND_H
#define SIMULATION_BOUND_H

#include "t/simulation/caller.h"

/* some: callers of this run have such jobs. */
void bound_reset(bool some);
/* None comes any more that has. */
void bound_are_calm(void);

/* Its connection may be bound from now on: that is said in HELLO. */
void bound_comes(caller *c, spawn_writer *hello);
/* May it submit this job? */
bool bound_may_submit(const caller *c, const job *j);
void bound_submits(caller *c, job *j);
void bound_is_answered(caller *c, const request *r, const spawn_message *m);
/* It closes its connection, while a broker is there. */
void bound_goes(caller *c);
/* It has lost it: its job goes on. */
void bound_loses_broker(caller *c);

void bound_launched(const job *j);
void bound_signalled(job *j, int signo);
/* At the end of each turn. */
void bound_check(void);

#endif
