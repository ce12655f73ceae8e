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
    bool disk_full;   /* the reason why it failed */
    bool new_failed;  /* known jobs could be written, new ones not */
} spawn_committed;

/**
 * Write the jobs of a batch that are due: all of them, or as many as the disk
 * has room for at once. What goes wrong is in the log.
 * @return false: nothing was written, and a turn comes soon to try again.
 */
bool spawn_commit(const spawn_batch *batch, spawn_committed *ret);

/** The store could not be written a moment ago. */
bool spawn_commit_failing(const spawn_store *store);

#endif
