/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file visitor.h
 * @brief SetHandler spawn-job: what a visitor may know of his own job, which he
 * has a token for (module/job_token.h).
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_VISITOR_H
#define SPAWN_STATUS_VISITOR_H

#include "httpd.h"

/** Hook handler. */
int spawn_visitor_handler(request_rec *r);

#endif
