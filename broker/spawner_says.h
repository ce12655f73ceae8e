/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawner_says.h
 * @brief The messages of the spawner, and which file obeys each of them.
 */
#ifndef SPAWN_BROKER_SPAWNER_SAYS_H
#define SPAWN_BROKER_SPAWNER_SAYS_H

#include "broker/process/link.h"

/** For spawn_link_open. */
extern const spawn_link_events spawn_spawner_says;

#endif
