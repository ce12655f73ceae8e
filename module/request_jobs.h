/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file request_jobs.h
 * @brief The ids of a request's jobs, as its note "spawn-jobs": for the access
 * log.
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#ifndef SPAWN_REQUEST_JOBS_H
#define SPAWN_REQUEST_JOBS_H

#include "module/perl_runner.h"
#include "common/spawn_id.h"

#define SPAWN_NOTE      "spawn-jobs"
#define SPAWN_NOTED_MAX 10 /* ids; of more the note has their number */

/* As in perl_runner.h. */
void spawn_request_job(request_rec *r, const void *id);

/** Hook log_transaction, before the access log: the request that is logged has
 * the note, too. */
int spawn_request_jobs_log(request_rec *r);

#endif
