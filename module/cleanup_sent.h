/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cleanup_sent.h
 * @brief Did the client of a request have its whole answer?
 *
 * Runs in httpd children, in whatever thread works on the request.
 */
#ifndef SPAWN_CLEANUP_SENT_H
#define SPAWN_CLEANUP_SENT_H

#include "module/module.h"

/** In register_hooks. */
void spawn_cleanup_sent_register(void);

/** Hook post_read_request: watch the answer of a stream of HTTP/2. */
int spawn_cleanup_sent_watch(request_rec *r);

/** Did the client leave before it had the whole answer? At the request's
 * end. */
bool spawn_cleanup_aborted(request_rec *first);

#endif
