/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron_request.h
 * @brief CRON: recurring jobs are listed, run by hand, paused, resumed.
 *
 * Runs in the broker.
 */
#ifndef SPAWN_BROKER_CALLER_CRON_REQUEST_H
#define SPAWN_BROKER_CALLER_CRON_REQUEST_H

#include "broker/caller/connection.h"

void spawn_request_cron(spawn_peer *peer, const spawn_message *m,
                        spawn_packet *p, const spawn_id *id);

#endif
