/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file request.h
 * @brief Requests of callers that were let in.
 */
#ifndef SPAWN_BROKER_CALLER_REQUEST_H
#define SPAWN_BROKER_CALLER_REQUEST_H

#include "broker/caller/connection.h"

/** Handle one message of a peer that was let in. */
void spawn_request(spawn_peer *peer, const spawn_message *m, spawn_packet *p);

#endif
