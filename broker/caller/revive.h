/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file revive.h
 * @brief REVIVE: a job that is dead is tried again, as often as its retries
 * say.
 */
#ifndef SPAWN_BROKER_CALLER_REVIVE_H
#define SPAWN_BROKER_CALLER_REVIVE_H

#include "broker/job/job.h"
#include "broker/run/durable.h"
#include "broker/caller/connection.h"

void spawn_revive(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                  const spawn_id *id);

/** A broker begins, or reads the ledger late, which has this attempt at a job:
 * it waits, began or has ended. When the store has it dead since an attempt
 * before that, it was revived, and is again; or is in no state, so that its
 * caller ends it as the ledger says. Nothing that the ledger cannot do now
 * keeps it from that: the caller that revived it was told so.
 * @return 1: it is. 0: it was not; or its attempt has begun, and none is to
 * follow. -EIO: the store cannot say. -EBADMSG: the row's message is not
 * understood. */
int spawn_revive_found(spawn_batch *batch, const spawn_durable_row *row);

#endif
