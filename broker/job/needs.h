/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file needs.h
 * @brief Jobs that come after others: which, and which of these have not ended
 * yet.
 *
 * A job that has needs is blocked (queue.h) until none is open. run/order.h
 * decides what they do when a needed job has not ended well. The store keeps
 * those that are open.
 */
#ifndef SPAWN_BROKER_JOB_NEEDS_H
#define SPAWN_BROKER_JOB_NEEDS_H

#include "broker/job/job.h"

typedef struct spawn_need spawn_need;

struct spawn_need {
    spawn_id id; /* of the needed job */
    spawn_needs *of;
    spawn_need *prev, *next; /* those of the same place in the table */
    bool open;
};

struct spawn_needs {
    spawn_job *job;
    uint8_t when_failed; /* SPAWN_AFTER_FAILED_ */
    unsigned count, open;
    spawn_need need[];
};

/** The job comes after these, all of them open; before it is queued. ids: one
 * behind the other. */
void spawn_needs_make(spawn_job *job, const uint8_t *ids, unsigned count,
                      unsigned when_failed);

/** This one has ended, or does not matter. */
void spawn_need_over(spawn_need *need);

/** The same of all that it has: it has begun before. */
void spawn_needs_over(spawn_job *job);

/** An open need of this job that some other one has; NULL: none. after: the
 * last one that was given. */
spawn_need *spawn_need_of(const spawn_id *id, const spawn_need *after);

/** Called when a job is let go. */
void spawn_needs_drop(spawn_job *job);

#endif
