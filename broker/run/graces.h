/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file graces.h
 * @brief Jobs that a broker before this one has sent TERM, as the store knows
 * them (store/grace.c). For the recovery.
 */
#ifndef SPAWN_BROKER_RUN_GRACES_H
#define SPAWN_BROKER_RUN_GRACES_H

#include "broker/job/job.h"
#include "broker/store/store.h"

/** Read them; before the jobs, and again when that failed. 0 or -1. */
int spawn_graces_read(spawn_store *store);

/** Note on a job that was found what the store says of its TERM; before what is
 * told of its end says how it ended. */
void spawn_graces_note(spawn_job *job);

/**
 * When the jobs are there: what of them lives has the rest of its grace, or is
 * sent KILL again.
 * @param has_exited has the spawner told the job's exit?
 */
void spawn_graces_take(spawn_batch *batch,
                       bool (*has_exited)(const spawn_id *id));

#endif
