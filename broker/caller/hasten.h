/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hasten.h
 * @brief START_NOW: a job that waits for its time (`delay`, `at`, the pause
 * before a retry) waits for it no more.
 */
#ifndef SPAWN_BROKER_CALLER_HASTEN_H
#define SPAWN_BROKER_CALLER_HASTEN_H

#include "broker/caller/connection.h"

void spawn_hasten(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                  const spawn_id *id);

#endif
