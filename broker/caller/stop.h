/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file stop.h
 * @brief A job is ended by its caller: by KILL, or since the job is bound to a
 * connection that has closed.
 */
#ifndef SPAWN_BROKER_CALLER_STOP_H
#define SPAWN_BROKER_CALLER_STOP_H

#include "broker/caller/connection.h"

/** TERM, and KILL after its grace. */
#define SPAWN_STOP_KINDLY 0

/** Send the signal; a job that waits is cancelled. False: it has ended. */
bool spawn_stop(spawn_job *job, int signo);

/** May this peer submit this job? Of one that is bound: its only one, and not a
 * durable one. 0, or -1 with why filled. */
int spawn_stop_check(const spawn_peer *peer, const spawn_message *m,
                     spawn_failure *why);

/** The job that it has submitted was taken (or is known, as it was sent again):
 * it ends with the connection, when that is bound. */
void spawn_stop_with(spawn_peer *peer, const spawn_id *id);

/** Is there a job that would end with the connection? */
bool spawn_stop_binds(const spawn_peer *peer);

/** The connection is closed: its job is ended by spawn_stop_unbound(). */
void spawn_stop_bound(spawn_peer *peer);

/** Is there a job that is to be ended so? */
bool spawn_stop_waits(void);

/** Jobs whose connections have closed get TERM, and KILL after their grace.
 * Call when a turn ends, before anything is stored. */
void spawn_stop_unbound(void);

#endif
