/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file started.h
 * @brief STARTED: the process of a job, a template or a worker is there.
 */
#ifndef SPAWN_BROKER_RUN_STARTED_H
#define SPAWN_BROKER_RUN_STARTED_H

#include "common/spawn_proto.h"

/** A message about an id that nobody knows is left alone. */
void spawn_started(const spawn_id *id, const spawn_message *m);
/** An EXITED: of one whose start was not told before it tells that, too. */
void spawn_started_with_end(const spawn_id *id, const spawn_message *m);

#endif
