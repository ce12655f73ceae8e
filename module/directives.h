/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file directives.h
 * @brief The table of directives, and the work that is left when all of them
 * are read.
 *
 * Runs in the httpd parent while the configuration is read.
 */
#ifndef SPAWN_DIRECTIVES_H
#define SPAWN_DIRECTIVES_H

#include "module/module.h"

extern const command_rec spawn_directives[];

/**
 * After the whole configuration is read (the order of directives does not
 * matter): fill in what nobody set, make paths absolute, check them. For the
 * main server. Logs what is wrong, with file and line.
 * @return APR_SUCCESS or APR_EINVAL.
 */
apr_status_t spawn_config_complete(apr_pool_t *p, server_rec *s);

#endif
