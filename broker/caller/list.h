/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file list.h
 * @brief LIST: which jobs a caller wants to see.
 */
#ifndef SPAWN_BROKER_CALLER_LIST_H
#define SPAWN_BROKER_CALLER_LIST_H

#include "broker/caller/connection.h"

void spawn_request_list(spawn_peer *peer, const spawn_message *m,
                        spawn_packet *p, const spawn_id *id);

#endif
