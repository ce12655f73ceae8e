/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pool.h
 * @brief The connections of a client: a thread takes one, uses it for one
 * request and gives it back.
 *
 * Runs in callers, in any thread, before and after a fork. Not part of the
 * caller's contract (that is spawn_client.h).
 */
#ifndef SPAWN_POOL_H
#define SPAWN_POOL_H

#include "client/connection.h"

/** The endpoint of a client; never changes. */
const spawn_endpoint *spawn_pool_endpoint(const spawn_client *client);

/**
 * A connection for this thread alone: an idle one, or a new one.
 * @param ret_fresh true for a new one.
 * @return 0, or a negative errno as of spawn_connection_open with why filled.
 */
int spawn_pool_take(spawn_client *client, int64_t deadline,
                    spawn_connection **ret, bool *ret_fresh,
                    spawn_failure *why);

/** Give back a connection on which nothing is outstanding. */
void spawn_pool_give(spawn_client *client, spawn_connection *c);

/** Close a connection that broke or on which an answer may still come: the next
 * user would get another one's answer. */
void spawn_pool_drop(spawn_client *client, spawn_connection *c);

#endif
