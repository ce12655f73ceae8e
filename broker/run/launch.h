/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file launch.h
 * @brief From a job to a LAUNCH order.
 */
#ifndef SPAWN_BROKER_RUN_LAUNCH_H
#define SPAWN_BROKER_RUN_LAUNCH_H

#include "broker/job/job.h"

/**
 * Order the launch of a job that the store has as starting.
 * @param body its order, or NULL when it could not be read.
 * @return 0; -1 with why filled.
 */
int spawn_launch(spawn_job *job, const spawn_body *body, spawn_failure *why);

#endif
