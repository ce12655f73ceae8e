/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_request.h
 * @brief What callers ask about queues, and change of them.
 */
#ifndef SPAWN_BROKER_CALLER_QUEUE_REQUEST_H
#define SPAWN_BROKER_CALLER_QUEUE_REQUEST_H

#include "broker/caller/connection.h"

/** QUEUES. */
void spawn_request_queues(spawn_peer *peer, const spawn_message *m,
                          spawn_packet *p, const spawn_id *id);

#endif
