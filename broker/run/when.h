/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file when.h
 * @brief Jobs whose moment comes: those that are due join their queue, those
 * that have expired end.
 */
#ifndef SPAWN_BROKER_RUN_WHEN_H
#define SPAWN_BROKER_RUN_WHEN_H

#include "broker/job/job.h"

/** Once a turn, before jobs are started: so that none starts that has expired.
 */
void spawn_when_look(void);

/** Must this job, which is next in its lane, not start any more? Then it has
 * ended; or has not yet, when so many ended in this turn that it waits for the
 * next: its state tells. */
bool spawn_when_expires(spawn_job *job);

/** At the end of a turn: the next one comes with the next moment. */
void spawn_when_wait(void);

#endif
