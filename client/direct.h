/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file direct.h
 * @brief Calls that go to a worker directly, while the broker lends it to a
 * connection. docs/leases.md says how.
 *
 * Runs in callers, in any thread. Not part of the caller's contract.
 */
#ifndef SPAWN_DIRECT_H
#define SPAWN_DIRECT_H

#include "client/connection.h"

/** Can this job, checked and with reply finished, go to the worker that is lent
 * to this connection? */
bool spawn_direct_fits(spawn_connection *c, const spawn_message *job);

/**
 * Send it there, and receive the answer.
 * @return 0 with *ret; 1: it was not taken, the broker has to be asked; 2: it
 * may have been taken, and the worker does not answer; -ETIMEDOUT. Only after 0
 * and 1 the lease may go on.
 */
int spawn_direct_call(spawn_connection *c, spawn_writer *w, int64_t deadline,
                      spawn_answer *ret);

/** Tell the broker, before the job is submitted there, that it may have been
 * taken by this worker. 0 or a negative errno. */
int spawn_direct_tell_lost(spawn_connection *c, const spawn_id *worker,
                           int64_t deadline);

#endif
