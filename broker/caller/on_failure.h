/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file on_failure.h
 * @brief What is called when a job has failed for good (on_failure,
 * SpawnOnFailure): one job, which the broker submits.
 *
 * docs/rules-of-jobs.md says which ends these are, and what the job is told.
 */
#ifndef SPAWN_BROKER_CALLER_ON_FAILURE_H
#define SPAWN_BROKER_CALLER_ON_FAILURE_H

#include "broker/job/job.h"

/** Submit what follows from the ends that are stored in this turn. Between
 * their judgement (run/retry.h) and the commit. An end without which that would
 * not be in the store is not to be there either: it is behind that job, or held
 * back. */
void spawn_on_failure_turn(spawn_batch *batch);

#endif
