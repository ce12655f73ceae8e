/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file environment.h
 * @brief A job's environment.
 */
#ifndef SPAWN_BROKER_PROCESS_ENVIRONMENT_H
#define SPAWN_BROKER_PROCESS_ENVIRONMENT_H

#include "broker/job/job.h"
#include "broker/job/template.h"

/** Put ENV: the small clean set, the queue's variables over it, and the order's
 * over these; each name once, with its last value. job NULL, order NULL: of a
 * template. */
void spawn_launch_env(const spawn_job *job, const spawn_message *order,
                      spawn_writer *w);

/** The same for a process of a template. */
void spawn_launch_env_template(const spawn_template *t, spawn_writer *w);

/** The same for a worker of a queue. */
void spawn_launch_env_worker(const spawn_queue *q, spawn_writer *w);

#endif
