/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file meter_rows.h
 * @brief METERS: what is answered of the broker's numbers.
 */
#ifndef SPAWN_BROKER_CALLER_METER_ROWS_H
#define SPAWN_BROKER_CALLER_METER_ROWS_H

#include "broker/caller/connection.h"

void spawn_request_meters(spawn_peer *peer, const spawn_message *m,
                          spawn_packet *p, const spawn_id *id);

#endif
