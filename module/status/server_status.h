/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file server_status.h
 * @brief The part of mod_status's page that is about jobs.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_SERVER_STATUS_H
#define SPAWN_STATUS_SERVER_STATUS_H

#include "httpd.h"

/** mod_status's hook status_hook; flags: AP_STATUS_SHORT and others of it. */
int spawn_server_status(request_rec *r, int flags);

#endif
