/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file status.h
 * @brief SetHandler spawn-status: the status page.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_H
#define SPAWN_STATUS_H

#include "httpd.h"

/** Hook handler. */
int spawn_status_handler(request_rec *r);

#endif
