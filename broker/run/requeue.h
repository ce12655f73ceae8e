/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file requeue.h
 * @brief A Perl job goes back to its queue.
 */
#ifndef SPAWN_BROKER_RUN_REQUEUE_H
#define SPAWN_BROKER_RUN_REQUEUE_H

#include "broker/job/job.h"

/**
 * EXITED told that no process was forked for its order: put it back to its
 * place in the queue, to be ordered again.
 * @return NULL; or a static text, why that cannot be: the job has to end then.
 */
const char *spawn_requeue_unforked(spawn_job *job, int error);

#endif
