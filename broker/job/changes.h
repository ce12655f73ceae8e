/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file changes.h
 * @brief What is stored a moment later than it happened.
 *
 * That a job runs or has ended (the spawner keeps it for the next broker); and
 * calls for workers whose callers wait for the end, as a whole. Such a call was
 * never `accepted`: its caller has the result or nothing, and submits it again
 * when the broker dies. So it needs no store before it runs, and many are
 * stored at once, at most 20 ms later, in whatever state they are then. Until
 * then job->light is set, and touching one (turn.h) only tells those who wait
 * for it.
 */
#ifndef SPAWN_BROKER_JOB_CHANGES_H
#define SPAWN_BROKER_JOB_CHANGES_H

#include "broker/job/job.h"

/** As spawn_turn_touch, but a moment later, with others: for what the spawner
 * keeps for a broker that comes anew (that a job runs, that it has ended), when
 * nobody waits for it. Most that run have ended before that is stored, and then
 * it need not be. */
void spawn_later_touch(spawn_job *job);
/** It is stored now: nothing is to be done later. */
void spawn_later_cancel(spawn_job *job);

/** This new job is stored later. */
void spawn_later_add(spawn_job *job);
/** Its commit failed: try again after a while. */
void spawn_later_again(spawn_job *job);
/** Store it at the end of this turn, like any other. */
void spawn_later_store(spawn_job *job);
/** The same for all. */
void spawn_later_flush(void);

/** It has changed: tell who waits for it when this turn ends. */
void spawn_later_news(spawn_job *job);
void spawn_later_tell(void);

#endif
