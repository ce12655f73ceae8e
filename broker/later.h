/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file later.h
 * @brief Jobs that are not in the store yet: calls for workers whose callers
 * wait for the end.
 *
 * Such a call was never `accepted`: its caller has the result or nothing, and
 * submits it again when the broker dies. So it needs no store before it runs,
 * and many are stored at once, at most 20 ms later, in whatever state they are
 * then. Until then job->light is set, and touching one (turn.h) only tells
 * those who wait for it.
 */
#ifndef SPAWN_BROKER_LATER_H
#define SPAWN_BROKER_LATER_H

#include "job.h"

/** This new job is stored later. */
void spawn_later_add(spawn_job *job);
/** Its commit failed: try again after a while. */
void spawn_later_again(spawn_job *job);
/** Store it at the end of this turn, like any other. */
void spawn_later_store(spawn_job *job);
/** The same for all. */
void spawn_later_flush(void);
/** Called when a job is freed. */
void spawn_later_drop(spawn_job *job);

/** It has changed: tell who waits for it when this turn ends. */
void spawn_later_news(spawn_job *job);
void spawn_later_tell(void);

#endif
