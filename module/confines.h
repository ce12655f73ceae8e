/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file confines.h
 * @brief Confines that httpd puts on its children and that jobs do not have.
 *
 * Runs in the httpd parent, when the configuration has been read.
 */
#ifndef SPAWN_CONFINES_H
#define SPAWN_CONFINES_H

#include "module/account.h"

/** Refuse a configuration whose confines a job would leave. Logs. */
apr_status_t spawn_confines_check(server_rec *s);

/** Warn of the confines that jobs do not have. */
void spawn_confines_tell(apr_pool_t *p, server_rec *s,
                         const spawn_account *account);

/** The module that gives httpd's children another account for each request;
 * NULL: there is none. */
const char *spawn_confines_accounts(void);

#endif
