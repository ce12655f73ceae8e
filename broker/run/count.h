/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file count.h
 * @brief The numbers that are counted of a job that has ended (base/meters.h).
 */
#ifndef SPAWN_BROKER_RUN_COUNT_H
#define SPAWN_BROKER_RUN_COUNT_H

#include "broker/job/job.h"

/** It is done, and the store has it: once for each job. */
void spawn_count_end(const spawn_job *job);

/** An attempt has ended, and another one follows; or it was dead, and is
 * revived. The store has that. */
void spawn_count_again(const spawn_job *job);

#endif
