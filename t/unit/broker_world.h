/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store with a batch of jobs, in the test's own process: it links the
 * broker's rooms up to the store.
 */
#ifndef BROKER_WORLD_H
#define BROKER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/store/commit.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "t/unit/place.h"

typedef struct {
    char directory[64];
    spawn_store *store;
    spawn_batch batch;
} world;

static inline void open_store(world *w)
{
    spawn_failure why;
    bool full;

    assert_int_equal(spawn_store_open(w->store, w->directory, &why, &full), 0);
    spawn_recent_begin(w->store, spawn_store_newest(w->store));
    spawn_store_note_place(w->store);
}

static inline void begin(world *w)
{
    place_of_tests(w->directory);
    assert_non_null(mkdtemp(w->directory));
    goes_at_exit(w->directory);
    w->store = spawn_store_new();
    spawn_batch_init(&w->batch, w->store);
    open_store(w);
}

static inline void end(world *w)
{
    char command[100];

    spawn_store_close(w->store);
    spawn_timer_clear(&w->store->room.trim_timer);
    spawn_timer_clear(&w->store->commit.retry_timer);
    free(w->store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
}

/* A job that waits, due in this turn. */
static inline spawn_job *submit(world *w)
{
    spawn_job *job;
    spawn_id id;

    assert_int_equal(spawn_id_make(&id), 0);
    job = spawn_job_new(&w->batch, &id);
    job->body = spawn_body_room(sizeof(id), 0, 0);
    memcpy(job->body->data, &id, sizeof(id));
    spawn_queue_join(job, "q");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    spawn_job_changed(job);
    return job;
}

static inline void forget(spawn_job *job)
{
    spawn_queue_leave(job);
    spawn_job_free(job);
}

static inline void end_job(spawn_job *job)
{
    spawn_job_on(job, SPAWN_JOB_ENDED);
    job->end = spawn_alloc(sizeof(*job->end));
    job->end->outcome = SPAWN_OUTCOME_LOST;
    job->end->elapsed_us = job->end->exit_code = -1;
    spawn_job_changed(job);
}

#endif
