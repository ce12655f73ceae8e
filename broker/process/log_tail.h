/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file log_tail.h
 * @brief The last lines that jobs have written to the error log, in memory, for
 * those who look at a job: the log itself may be long, elsewhere, or another
 * account's.
 *
 * Of the SPAWN_LOG_TAIL_JOBS jobs that wrote last, running or ended. A broker
 * that follows another one begins without any.
 *
 * Runs in the broker.
 */
#ifndef SPAWN_BROKER_PROCESS_LOG_TAIL_H
#define SPAWN_BROKER_PROCESS_LOG_TAIL_H

#include <stddef.h>

#include "common/spawn_id.h"

#define SPAWN_LOG_TAIL_JOBS 128
#define SPAWN_LOG_TAIL_MAX  4096 /* bytes of a job; also in SPAWN_A_LOG_TAIL */

/** A line, without its end. Of one that is too long the beginning is kept. */
void spawn_log_tail_add(const spawn_id *job, const char *text, size_t length);

/**
 * The whole lines that are kept of a job, each with its end, as the job wrote
 * them: they are not escaped.
 * @param ret_length 0: there are none.
 * @return valid until the next line of any job.
 */
const char *spawn_log_tail_get(const spawn_id *job, size_t *ret_length);

#endif
