/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file api.h
 * @brief The functions for jobs that mod_spawn.h promises to other modules.
 *
 * Run in httpd children, in any thread. docs/c-api.md says how they are made.
 */
#ifndef SPAWN_API_H
#define SPAWN_API_H

#include "mod_spawn.h"

/* As in mod_spawn.h. */
spawn_job *spawn_job_make(apr_pool_t *p, request_rec *r, server_rec *s);
apr_status_t spawn_job_program(spawn_job *job, const char *const *argv);
apr_status_t spawn_job_function(spawn_job *job, const char *name,
                                const char *const *args);
apr_status_t spawn_job_option(spawn_job *job, const char *name,
                              const char *value);
apr_status_t spawn_job_pair(spawn_job *job, const char *option,
                            const char *name, const char *value);
apr_status_t spawn_job_data(spawn_job *job, const void *data,
                            apr_size_t length);
apr_status_t spawn_job_fd(spawn_job *job, int target, int fd);
const char *spawn_job_id(const spawn_job *job);
apr_status_t spawn_job_submit(spawn_job *job, spawn_until until,
                              apr_interval_time_t wait, spawn_job_info *info,
                              spawn_job_failure *why);
apr_status_t spawn_job_cleanup(spawn_job *job, request_rec *r,
                               spawn_cleanup_when when, spawn_job_failure *why);
apr_status_t spawn_job_wait(server_rec *s, apr_pool_t *p, const char *id,
                            spawn_until until, apr_interval_time_t wait,
                            spawn_job_info *info, spawn_job_failure *why);
apr_status_t spawn_job_status(server_rec *s, apr_pool_t *p, const char *id,
                              int with_output, spawn_job_info *info,
                              spawn_job_failure *why);
apr_status_t spawn_job_kill(server_rec *s, const char *id, int signal,
                            spawn_job_failure *why);
apr_status_t spawn_job_revive(server_rec *s, const char *id,
                              spawn_job_failure *why);
apr_status_t spawn_job_start_now(server_rec *s, const char *id,
                                 spawn_job_failure *why);
apr_status_t spawn_job_list(server_rec *s, apr_pool_t *p,
                            const spawn_job_filter *which, spawn_job_info *info,
                            spawn_job_row *row, void *of,
                            spawn_job_failure *why);

#endif
