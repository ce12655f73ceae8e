/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that are lent a worker (client/direct.c): their calls go there, as
 * long as they are taken.
 */
#ifndef SIMULATION_DIRECT_H
#define SIMULATION_DIRECT_H

#include "t/simulation/caller.h"

/* LEASE. The packet's descriptor is taken. */
void direct_is_lent(caller *c, const spawn_message *m, spawn_packet *p);
/* False: this call goes to the broker. */
bool direct_call(caller *c, job *j);
/* An answer has come over its socket, or its end. */
void direct_hear(caller *c);
/* It waits no longer. */
void direct_gives_up(caller *c);
/* Its connection to the broker has ended. */
void direct_loses_broker(caller *c);
/* The caller's process has gone. */
void direct_is_abandoned(caller *c);
/* Tell the broker, before this job is submitted there, that a worker may have
 * taken it. */
void direct_tell_lost(const caller *c, const job *j);

#endif
