/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file orphan.h
 * @brief Jobs that outlived their parent (the spawner, or a template of
 * httpd): followed by pidfd.
 */
#ifndef SPAWN_BROKER_ORPHAN_H
#define SPAWN_BROKER_ORPHAN_H

#include "job.h"

/**
 * Follow a running job whose parent has gone, if its process is still the
 * one that was started: same number, session and start time.
 * @return false when it is not there any more.
 */
bool spawn_orphan_follow(spawn_job *job);

/**
 * ORPHANED: the spawner is not (or no longer) told of its end. Follow it, or
 * end it when it is not there any more.
 */
void spawn_orphan_told(spawn_job *job, const spawn_message *m);

void spawn_orphan_signal(spawn_job *job, int signo);

/** Called when a job is freed. */
void spawn_orphan_drop(spawn_job *job);

#endif
