/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover_found.h
 * @brief A broker begins: what becomes of an open job that it finds.
 */
#ifndef SPAWN_BROKER_RECOVER_FOUND_H
#define SPAWN_BROKER_RECOVER_FOUND_H

#include "broker/job/job.h"

/** Are the jobs that are found now of this boot of the machine? */
void spawn_found_boot(bool same);
bool spawn_found_same_boot(void);

/** Do the spawner, or a worker, have this attempt? */
bool spawn_found_is_told(const spawn_job *job);

/** It goes on, has ended, waits again or is lost, as spawner, worker and /proc
 * say. state and life: as they were noted. */
void spawn_found_open(spawn_job *job, spawn_state state, const spawn_id *life);

/** It ends so, with this text. */
void spawn_found_lost(spawn_job *job, spawn_outcome outcome, const char *text);
/** Nobody has it any more: it ends so. state: as it was noted. */
void spawn_found_gone(spawn_job *job, spawn_state state);
/** Broker and spawner had the pipes that it captured. */
void spawn_found_outputs_lost(spawn_job *job);

#endif
