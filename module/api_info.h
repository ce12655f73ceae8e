/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file api_info.h
 * @brief The answers of the C API: failures and jobs, in structs of the size
 * that the caller knows.
 *
 * Runs in httpd children, in any thread.
 */
#ifndef SPAWN_API_INFO_H
#define SPAWN_API_INFO_H

#include <stdbool.h>

#include "common/spawn_proto.h"
#include "mod_spawn.h"

/**
 * Fill a struct of a caller: as much of ours as it has room for, zeros in what
 * it has more.
 * @param to begins with its size, which stays as it is; from: the same.
 * @param known size of ours.
 */
void spawn_api_copy(void *to, const void *from, apr_size_t known);

/** Can these be filled? Each may be NULL. When only info cannot, why is
 * filled. */
bool spawn_api_sized(const spawn_job_info *info, spawn_job_failure *why);

/**
 * What a caller has set of a filter; what its header does not know stays as it
 * is in ret.
 * @return false: its size was not set.
 */
bool spawn_api_filter(const spawn_job_filter *from, spawn_job_filter *ret);

/** The status for a code; error: the errno that came with it, or 0. */
apr_status_t spawn_api_status(spawn_error code, int error);

/**
 * Fill why (NULL: not wanted).
 * @return the status for it.
 */
apr_status_t spawn_api_fail(spawn_job_failure *why, const spawn_failure *what);

/**
 * Fill info (NULL: not wanted) with what a JOB or ACCEPTED message tells; the
 * texts are copied into p.
 * @param m NULL: the broker has told nothing.
 */
void spawn_api_tell(spawn_job_info *info, apr_pool_t *p, const spawn_id *id,
                    const spawn_message *m);

#endif
