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

/** Call in the forked child, and for each client that is closed. They make only
 * calls that are allowed in the child of a process with threads. */
typedef struct {
    void (*lock)(void);
    void (*unlock)(void);
    void (*in_child)(void);
    void (*closed)(const spawn_client *client);
} spawn_pool_events;
void spawn_pool_tell(const spawn_pool_events *events);

/** The endpoint of a client; never changes. */
const spawn_endpoint *spawn_pool_endpoint(const spawn_client *client);

/** Does its job end with its connection? Never changes. */
bool spawn_pool_bound(const spawn_client *client);

/**
 * A connection for this thread alone: an idle one, or a new one.
 * @param ret_fresh true for a new one.
 * @return 0, or a negative errno as of spawn_connection_open with why filled.
 */
int spawn_pool_take(spawn_client *client, int64_t deadline,
                    spawn_connection **ret, bool *ret_fresh,
                    spawn_failure *why);

/** Give back a connection on which nothing is outstanding, but what is awaited.
 */
void spawn_pool_give(spawn_client *client, spawn_connection *c);

/**
 * The connection that an answer is awaited on, for this thread alone.
 * @return NULL: there is none any more, or with *ret_busy another thread has
 * it.
 */
spawn_connection *spawn_pool_take_for(spawn_client *client,
                                      const spawn_awaited *a, bool *ret_busy);

/** A duplicate of that connection's descriptor, or -1. */
int spawn_pool_watch(spawn_client *client, const spawn_awaited *a);

/** It is awaited no more; waits while another thread has the connection. */
void spawn_pool_forget(spawn_client *client, spawn_awaited *a);

/** Close a connection that broke or on which an answer may still come: the next
 * user would get another one's answer. */
void spawn_pool_drop(spawn_client *client, spawn_connection *c);

/** This job went to this worker directly, and has no answer: a submit of the
 * same job from this process, by any client, says so to the broker. The last
 * 256 are known. */
void spawn_pool_doubt(const spawn_id *job, const spawn_id *worker);
/** Is it one of these? */
bool spawn_pool_doubts(const spawn_id *job, spawn_id *ret_worker);

#endif
