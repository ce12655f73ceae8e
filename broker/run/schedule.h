/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file schedule.h
 * @brief Which jobs start in this turn.
 */
#ifndef SPAWN_BROKER_RUN_SCHEDULE_H
#define SPAWN_BROKER_RUN_SCHEDULE_H

#include <stdbool.h>

#include "broker/job/queue.h"

/** Choose the jobs that start now: they become starting, due in this turn and
 * marked launch. Unstored calls are sent to their workers at once. Perl jobs
 * whose template cannot be loaded end. */
void spawn_schedule(void);

/** Does a job that comes into this queue now start in this turn? */
bool spawn_schedule_at_once(const spawn_queue *q);

#endif
