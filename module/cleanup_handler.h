/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cleanup_handler.h
 * @brief SpawnCleanupHandler: Perl handlers that run as a job after the answer.
 *
 * Runs in the httpd parent at a start, and in httpd children.
 */
#ifndef SPAWN_CLEANUP_HANDLER_H
#define SPAWN_CLEANUP_HANDLER_H

#include "module/module.h"

/** Is Apache2::Spawn loaded, which the handlers need? Logs when not. At the end
 * of post_config, when Perl runs. */
apr_status_t spawn_cleanup_handlers_ready(server_rec *s);

/** Refuse handlers where nothing could run them. Logs. */
apr_status_t spawn_cleanup_handlers_check(server_rec *s);

/** Hook child_init: look for mod_perl. */
void spawn_cleanup_handlers_child_init(apr_pool_t *p, server_rec *s);

/** Hook log_transaction, before mod_perl's: have Apache2::Spawn::Cleanup run
 * in it when the request has handlers. */
int spawn_cleanup_log_first(request_rec *r);

/* As in perl_runner.h. */
const apr_array_header_t *spawn_cleanup_handlers(request_rec *r);

#endif
