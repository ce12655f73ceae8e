/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file handlers.h
 * @brief Handlers of the directives that have a file of their own, and the work
 * of these files when all directives are read. directives.c has the table.
 *
 * Runs in the httpd parent while the configuration is read (SpawnCleanupHandler
 * may stand in a .htaccess: in a child then).
 */
#ifndef SPAWN_HANDLERS_H
#define SPAWN_HANDLERS_H

#include "module/config.h"

/** Handler of SpawnTemplate. */
const char *spawn_template_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args);
/** Handler of SpawnTemplateMemory. */
const char *spawn_template_memory_directive(cmd_parms *cmd, void *dir_config,
                                            const char *arg);

/** Do the queues name templates that are defined? APR_SUCCESS, or APR_EINVAL
 * with the fault in the log. */
apr_status_t spawn_templates_complete(apr_pool_t *p, server_rec *s,
                                      spawn_server_config *conf);

/** Handlers of SpawnWorkers and SpawnWorker...: workers.c. */
const char *spawn_workers_directive(cmd_parms *cmd, void *dir_config,
                                    const char *args);
const char *spawn_worker_jobs_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg);
const char *spawn_worker_memory_directive(cmd_parms *cmd, void *dir_config,
                                          const char *arg);
const char *spawn_worker_idle_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg);

/** Handler of SpawnBoundingSet, and the check whether httpd may set it:
 * privilege.c. */
const char *spawn_bounding_set_directive(cmd_parms *cmd, void *dir_config,
                                         const char *args);
apr_status_t spawn_bounding_set_check(server_rec *s,
                                      const spawn_server_config *conf);

/** Handlers of SpawnBrokerUser, SpawnUser and SpawnGroup, and what is known of
 * them only when all is read: queue_account.c. APR_SUCCESS, or APR_EINVAL with
 * the fault in the log. */
const char *spawn_broker_user_directive(cmd_parms *cmd, void *dir_config,
                                        const char *user, const char *group);
const char *spawn_user_directive(cmd_parms *cmd, void *dir_config,
                                 const char *arg);
const char *spawn_group_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg);
apr_status_t spawn_queue_accounts_complete(apr_pool_t *p, server_rec *s,
                                           spawn_server_config *conf);
/** Can this httpd set them?
 * @param account httpd's User. */
apr_status_t spawn_queue_accounts_check(server_rec *s,
                                        const spawn_server_config *conf,
                                        const spawn_account *account);

/** The workers of one queue's rules: fill in, check. APR_SUCCESS, or APR_EINVAL
 * with the fault in the log. */
apr_status_t spawn_workers_complete(server_rec *s, spawn_queue_rules *rules);

/** Handler of SpawnCron, and what is known of it only when all is read:
 * cron.c. */
const char *spawn_cron_directive(cmd_parms *cmd, void *dir_config,
                                 const char *args);
apr_status_t spawn_cron_complete(apr_pool_t *p, server_rec *s,
                                 const spawn_server_config *conf);

/** Handlers of what a queue gives to its jobs: job_rules.c. */
const char *spawn_grace_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg);
const char *spawn_nice_directive(cmd_parms *cmd, void *dir_config,
                                 const char *arg);
const char *spawn_ionice_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg);
const char *spawn_leftovers_directive(cmd_parms *cmd, void *dir_config,
                                      const char *arg);
const char *spawn_directory_directive(cmd_parms *cmd, void *dir_config,
                                      const char *arg);
const char *spawn_output_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg);
const char *spawn_env_directive(cmd_parms *cmd, void *dir_config,
                                const char *args);
const char *spawn_pass_env_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args);
const char *spawn_on_failure_directive(cmd_parms *cmd, void *dir_config,
                                       const char *args);
const char *spawn_limit_directive(cmd_parms *cmd, void *dir_config,
                                  const char *args);

/** Handler of SpawnAllow, and what is known of it only when all is read:
 * allow.c. */
const char *spawn_allow_directive(cmd_parms *cmd, void *dir_config,
                                  const char *args);
apr_status_t spawn_allow_complete(server_rec *s,
                                  const spawn_server_config *conf);

/** Handler of SpawnAccess: access.c. */
const char *spawn_access_directive(cmd_parms *cmd, void *dir_config,
                                   const char *args);

/** Handlers of SpawnDefaultQueue and SpawnQueueAccess: queue_access.c; and are
 * the queues configured that httpd.conf names there? APR_SUCCESS, or APR_EINVAL
 * with the fault in the log. */
const char *spawn_default_queue_directive(cmd_parms *cmd, void *dir_config,
                                          const char *arg);
const char *spawn_queue_access_directive(cmd_parms *cmd, void *dir_config,
                                         const char *args);
apr_status_t spawn_queue_uses_check(apr_pool_t *p, server_rec *s);

/** Handler of <SpawnQueue name>. */
const char *spawn_queue_section(cmd_parms *cmd, void *dir_config,
                                const char *arg);

/** Handlers of SpawnSocketMode and SpawnSocketGroup: socket_access.c. */
const char *spawn_socket_mode_directive(cmd_parms *cmd, void *dir_config,
                                        const char *arg);
const char *spawn_socket_group_directive(cmd_parms *cmd, void *dir_config,
                                         const char *arg);

/** Handler of SpawnJobWait: job_wait.c. */
const char *spawn_job_wait_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args);

/** Handler of SpawnCleanupHandler: cleanup_handler.c. */
const char *spawn_cleanup_handler_add(cmd_parms *cmd, void *dir_config,
                                      const char *args);

#endif
