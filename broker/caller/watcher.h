/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file watcher.h
 * @brief WATCH: callers that are told when a job is no more as they have seen
 * it.
 */
#ifndef SPAWN_BROKER_CALLER_WATCHER_H
#define SPAWN_BROKER_CALLER_WATCHER_H

#include "broker/caller/connection.h"

/** Watches of one connection; of httpd and its account; and of all accounts
 * that SpawnAccess lets in: memory of ours, and work. */
#define SPAWN_WATCHES_OF_ONE 64
#define SPAWN_WATCHES_MAX    4096
#define SPAWN_WATCHES_OTHERS 256

void spawn_request_watch(spawn_peer *peer, const spawn_message *m,
                         spawn_packet *p, const spawn_id *id);

/** The peer has gone. */
void spawn_watches_leave(spawn_peer *peer);

#endif
