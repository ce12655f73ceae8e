/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spool.h
 * @brief The spool: jobs that httpd's children could not post, and wrote to
 * files instead (module/spool.h). Read by the broker.
 */
#ifndef SPAWN_BROKER_CALLER_SPOOL_H
#define SPAWN_BROKER_CALLER_SPOOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/spawn_error.h"
#include "common/spawn_id.h"
#include "common/spawn_rule.h"
#include "broker/job/job.h"

typedef enum {
    SPAWN_SPOOLED_TAKEN, /* after this turn's commit the store has the job or
                            its refusal; then spawn_spool_remove is called */
    SPAWN_SPOOLED_KNOWN, /* it was taken before */
    SPAWN_SPOOLED_LATER, /* its queue is full, or the store fails */
    SPAWN_SPOOLED_BAD    /* why says what is wrong with it */
} spawn_spool_result;

/** For what a file waits that has to stay. */
typedef struct {
    char queue[SPAWN_NAME_MAX + 1]; /* for room there; "": for something else */
    bool delayed; /* among the jobs that wait for their time */
} spawn_spool_waits;

/** Take what lies under this id into the batch, written by uid; why is filled
 * when it is BAD or LATER, and ret_waits when it is LATER. */
typedef spawn_spool_result (*spawn_spool_take_fn)(
    spawn_batch *batch, const spawn_id *id, const void *data, size_t length,
    uid_t uid, spawn_spool_waits *ret_waits, spawn_failure *why);

/** Watch the directory, and take in the jobs that are there. After the recovery
 * and the inbox; again at each CONFIGURE, when the directory was not there
 * before. */
void spawn_spool_open(spawn_spool_take_fn to, spawn_batch *batch);

/** Is the directory that was opened still in its place? */
bool spawn_spool_there(void);
/** Open the directory that is there now, made when it is missing. False: not
 * now. */
bool spawn_spool_again(void);

/** The store has the job, or its refusal: remove its file. */
void spawn_spool_remove(const spawn_id *id);

/** The store, or the queue, did not take it: look again soon. */
void spawn_spool_retry(void);

#endif
