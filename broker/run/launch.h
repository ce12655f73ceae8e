/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file launch.h
 * @brief From a job to a LAUNCH order.
 */
#ifndef SPAWN_BROKER_RUN_LAUNCH_H
#define SPAWN_BROKER_RUN_LAUNCH_H

#include "broker/job/job.h"

/** Order the launch of a starting job that the store has as such. When it
 * cannot be ordered, that is kept for spawn_launch_failures. */
void spawn_launch(spawn_job *job);

/** After the turn's list is finished: end the jobs that could not be ordered.
 */
void spawn_launch_failures(void);

/**
 * Take time-out and grace from an order into the job.
 * @param m the order, taken apart.
 */
void spawn_launch_limits(spawn_job *job, const spawn_message *m);

/** Take apart an order. 0 or negative; why filled. */
int spawn_launch_parse(const spawn_job *job, const spawn_body *body,
                       spawn_message *ret, spawn_failure *why);

/** Which step misses its descriptor when handles of an order are gone. */
spawn_step spawn_launch_fd_step(const spawn_message *m);

#endif
