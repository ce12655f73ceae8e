/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file durable_follow.h
 * @brief Durable jobs: the ledger follows what happens to them. For
 * run/durable.c, and for files that change a job.
 */
#ifndef SPAWN_BROKER_RUN_DURABLE_FOLLOW_H
#define SPAWN_BROKER_RUN_DURABLE_FOLLOW_H

#include "broker/base/ledger.h"
#include "broker/job/job.h"

/** It was chosen to start: write that, and have it stored and launched then. */
void spawn_durable_order(spawn_job *job);
/** It waits for its time no more. */
void spawn_durable_hastened(const spawn_job *job);
/** Its state has been stored, or cannot be now: the ledger follows. */
void spawn_durable_follow(spawn_job *job);
/** Mono ms: until then the ledger alone had an end that the store has now.
 * INT64_MIN: it never had. */
int64_t spawn_durable_alone_until(void);
/** How it ended, in its last attempt, as the store knows. kind: of its result,
 * as spawn_store_end_of says it. */
void spawn_durable_ended(const spawn_id *id, unsigned attempt,
                         const spawn_end *end, int kind, pid_t pid,
                         int64_t started_at);
/** It was refused (waiting), or is forgotten (ended). A row of this id that is
 * in another state is another job's, and stays. */
void spawn_durable_drop(const spawn_id *id, spawn_ledger_state state);

#endif
