/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spool.h
 * @brief The spool: jobs that httpd's children could not post and wrote to
 * files instead (module/spool.h).
 */
#ifndef SPAWN_BROKER_CALLER_SPOOL_H
#define SPAWN_BROKER_CALLER_SPOOL_H

#include <stdbool.h>

#include "common/spawn_id.h"

/** Watch the directory, and take in what is there. After the recovery and the
 * inbox; again at each CONFIGURE, when it was not there before. */
void spawn_spool_open(void);

/** Is the directory that was opened still in its place? */
bool spawn_spool_there(void);
/** Open what is there now, made when it is missing. False: not now. */
bool spawn_spool_again(void);

/** The store has the job, or its refusal: its file goes. */
void spawn_spool_remove(const spawn_id *id);

/** The store, or the queue, did not take it: look again soon. */
void spawn_spool_retry(void);

#endif
