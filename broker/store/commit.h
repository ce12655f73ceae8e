/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file commit.h
 * @brief The one transaction of a turn.
 */
#ifndef SPAWN_BROKER_STORE_COMMIT_H
#define SPAWN_BROKER_STORE_COMMIT_H

#include "broker/job/changes.h"
#include "broker/store/store.h"

/** The result of a commit. */
typedef struct {
    unsigned written; /* how many of the jobs that are due, from the first */
    unsigned failed;  /* how many behind them the store did not take */
    bool disk_full;   /* the reason why it failed */
    bool new_failed;  /* known jobs could be written, new ones not */
} spawn_committed;

/**
 * Write the jobs of a batch that are due: all of them, or as many as the disk
 * has room for at once. Jobs that the store does not take are put behind those
 * that it took. Failures are logged.
 * @return false: some have failed, and a turn comes soon to try again.
 */
bool spawn_commit(spawn_batch *batch, spawn_committed *ret);

/** Why the store did not take this job: its caller is told so. One that may
 * have run must not be taken for one that has not. */
void spawn_commit_refusal(const spawn_job *job, spawn_failure *why);

/** The store could not be written a moment ago. */
bool spawn_commit_failing(const spawn_store *store);

/** The same, of a job that waits until it can: a turn comes when it can. */
bool spawn_commit_waits(spawn_store *store);

#endif
