/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file told.h
 * @brief Jobs, queues and processes as JSON: what spawnctl prints with --json.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_TOLD_H
#define SPAWN_STATUS_TOLD_H

#include "module/status/json.h"

/** Everything that a JOB says, as `spawnctl ps --json` has it. */
void spawn_told_job(spawn_page *page, const char *key,
                    const spawn_message *job);

/** The progress in a JOB: nothing when the job has told none. */
void spawn_told_progress(spawn_page *page, const spawn_message *job);

/** A QUEUE_STATE, as `spawnctl queues --json` has it. */
void spawn_told_queue(spawn_page *page, const spawn_message *queue);

/** A PROCESS, as `spawnctl templates --json` has it, without the memory
 * that it shares, which that reads from /proc. */
void spawn_told_process(spawn_page *page, const spawn_message *process);

/** "exec", "parent", "worker"; NULL: not known. */
const char *spawn_told_kind(const spawn_message *process);

#endif
