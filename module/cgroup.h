/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cgroup.h
 * @brief The directive SpawnCgroup. Runs in the httpd parent.
 */
#ifndef SPAWN_MODULE_CGROUP_H
#define SPAWN_MODULE_CGROUP_H

#include "module/config.h"

const char *spawn_cgroup_directive(cmd_parms *cmd, void *dir_config,
                                   const char *arg);

/** Is the directory one of cgroup v2, and can it do what SpawnLimit asks for?
 * APR_SUCCESS, or an error that has been logged. */
apr_status_t spawn_cgroup_check(apr_pool_t *p, server_rec *s,
                                const spawn_server_config *conf);

/** The same at `httpd -t`, which must make nothing and is run in another cgroup
 * than httpd's: it tells what cannot be for any user. */
apr_status_t spawn_cgroup_test(apr_pool_t *p, server_rec *s,
                               const spawn_server_config *conf);

#endif
