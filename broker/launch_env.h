/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file launch_env.h
 * @brief A job's environment.
 */
#ifndef SPAWN_BROKER_LAUNCH_ENV_H
#define SPAWN_BROKER_LAUNCH_ENV_H

#include "broker/job.h"

/** Put ENV: the small clean set, and what the order gives over it; each name
 * once, the last one given. job NULL, order NULL: of a template. */
void spawn_launch_env(const spawn_job *job, const spawn_message *order,
                      spawn_writer *w);

/** The same for a worker of a queue. */
void spawn_launch_env_worker(const char *queue, spawn_writer *w);

#endif
