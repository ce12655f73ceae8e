/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lifecycle.h
 * @brief The hooks by which the httpd parent starts and configures the pair,
 * and takes leave of it.
 */
#ifndef SPAWN_LIFECYCLE_H
#define SPAWN_LIFECYCLE_H

#include "module/module.h"

/** The module has been loaded; in a restart not for the first time. */
void spawn_loaded(void);
int spawn_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
int spawn_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s);
int spawn_first_look(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s);
int spawn_open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                    server_rec *s);
int spawn_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s);

#endif
