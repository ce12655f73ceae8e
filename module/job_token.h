/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job_token.h
 * @brief Tokens of jobs: a handler hands one out to its visitor, who may then
 * ask for this job (SetHandler spawn-job), and for no other.
 *
 * Runs in httpd children, in any thread.
 */
#ifndef SPAWN_JOB_TOKEN_H
#define SPAWN_JOB_TOKEN_H

#include "common/spawn_id.h"
#include "mod_spawn.h"

/* As in mod_spawn.h. */
apr_status_t spawn_job_token(const char *id, apr_interval_time_t life,
                             char *text);

/** Is it the token of this job, and not too old? Takes as long for any text of
 * its length. */
bool spawn_job_token_good(const spawn_id *id, const char *token);

#endif
