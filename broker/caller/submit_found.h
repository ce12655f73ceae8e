/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file submit_found.h
 * @brief Jobs that a broker before this one has taken, and the store does not
 * have.
 */
#ifndef SPAWN_BROKER_CALLER_SUBMIT_FOUND_H
#define SPAWN_BROKER_CALLER_SUBMIT_FOUND_H

#include "broker/base/ledger.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/caller/inbox.h"

/**
 * A slot of the inbox whose job a broker before this one has launched, or
 * accepted with handles.
 * @param ret the job, without a state; NULL: the slot was freed, since the
 * store has the job, or a worker has it, or it is none.
 * @return 0, or -1: the store failed, or there is no memory.
 */
int spawn_submit_found(spawn_batch *batch, const spawn_inbox_found *found,
                       spawn_job **ret);

/**
 * A durable job that the store does not have, as the ledger has it. It is in no
 * state.
 * @return NULL: it cannot be read.
 */
spawn_job *spawn_submit_ledgered(spawn_batch *batch,
                                 const spawn_ledger_record *row,
                                 const void *message);

#endif
