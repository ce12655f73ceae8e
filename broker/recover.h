/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover.h
 * @brief A broker begins: it puts together what the spawner tells and what the
 * store has.
 */
#ifndef SPAWN_BROKER_RECOVER_H
#define SPAWN_BROKER_RECOVER_H

#include "broker/job/job.h"

/**
 * The table is complete and the store is open: make the jobs,
 * in this batch.
 * @param ret_full set when it failed because the disk is full: call again when
 * there is room.
 * @return 0 or -1 with why filled.
 */
int spawn_recover(spawn_batch *batch, spawn_failure *why, bool *ret_full);

/** The ledger was unread then, and is read now. */
void spawn_recover_rest(spawn_batch *batch);

#endif
