/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ask.h
 * @brief The part of peer_out.c that only peer.c needs.
 */
#ifndef SPAWN_BROKER_CALLER_ASK_H
#define SPAWN_BROKER_CALLER_ASK_H

#include "broker/caller/connection.h"

/** The socket has room: send what waits, answer what was asked. */
void spawn_peer_flush(spawn_peer *peer);

/** Forget all answers and questions. */
void spawn_peer_out_drop(spawn_peer *peer);

#endif
