/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file revive.h
 * @brief REVIVE: a job that is dead is tried again, as often as its retries
 * say.
 */
#ifndef SPAWN_BROKER_CALLER_REVIVE_H
#define SPAWN_BROKER_CALLER_REVIVE_H

#include "broker/job/job.h"
#include "broker/caller/connection.h"

void spawn_revive(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                  const spawn_id *id);

/** A broker begins: the ledger has this attempt at a job, which waits or began.
 * When the store has it dead since an attempt before that, it was revived, and
 * is again. 0, or -1: it was not, or its order cannot be read. */
int spawn_revive_found(spawn_batch *batch, const spawn_id *id, unsigned attempt,
                       bool began);

#endif
