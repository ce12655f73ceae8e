/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job_rules.h
 * @brief The values that queues give to their jobs: merged, checked, and on
 * their way to the broker.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_JOB_RULES_H
#define SPAWN_JOB_RULES_H

#include "common/spawn_wire.h"
#include "module/config.h"

/** Take from outside of the sections what a queue does not say itself. */
void spawn_job_rules_merge(apr_pool_t *p, const spawn_job_rules *given,
                           spawn_job_rules *rules);

/** Is there room for all of it? APR_SUCCESS, or APR_EINVAL with the fault in
 * the log. */
apr_status_t spawn_job_rules_check(server_rec *s,
                                   const spawn_server_config *conf);

/** The name of a limit that a queue has and that needs a cgroup, and where it
 * stands; NULL: none. */
const char *spawn_job_rules_tree_limit(const spawn_server_config *conf,
                                       const char **ret_where);

/** Put those of all queues into a CONFIGURE. */
void spawn_job_rules_put(apr_pool_t *p, spawn_writer *w,
                         const spawn_server_config *conf);

#endif
