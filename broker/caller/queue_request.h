/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_request.h
 * @brief Questions of callers about queues, and changes of them.
 */
#ifndef SPAWN_BROKER_CALLER_QUEUE_REQUEST_H
#define SPAWN_BROKER_CALLER_QUEUE_REQUEST_H

#include "broker/caller/connection.h"

/** Find since when the one waits that waits longest, of each queue. */
void spawn_queues_find_oldest(void);

/** Is there anything to tell of it? */
bool spawn_queue_is_told(const spawn_queue *q);

/** QUEUES. */
void spawn_request_queues(spawn_peer *peer, const spawn_message *m,
                          spawn_packet *p, const spawn_id *id);

#endif
