/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover_damaged.h
 * @brief A broker begins: jobs that run, and that only a damaged store knew.
 */
#ifndef SPAWN_BROKER_RECOVER_DAMAGED_H
#define SPAWN_BROKER_RECOVER_DAMAGED_H

#include "broker/job/job.h"

/** Once all other jobs are found. Does nothing when no store was set aside, or
 * the ledger, which may know them, is unread. It reads for so long; of jobs
 * that are not reached then nothing is known. */
void spawn_recover_damaged(spawn_batch *batch, bool unread, int64_t most_ms);

#endif
