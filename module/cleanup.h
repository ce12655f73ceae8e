/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cleanup.h
 * @brief Work after the answer: jobs that a request leaves, posted when its
 * client has the whole answer; and SpawnCleanupHandler.
 *
 * Runs in httpd children, in whatever thread works on the request. Runs no
 * Perl and never waits: a post that does not fit goes to the spool.
 */
#ifndef SPAWN_CLEANUP_H
#define SPAWN_CLEANUP_H

#include "module/module.h"
#include "mod_spawn.h"

/* ---- cleanup.c ---- */

/* As in mod_spawn.h. */
apr_status_t spawn_cleanup_register(request_rec *r, const void *message,
                                    apr_size_t length, spawn_cleanup_when when);

/** Hook log_transaction, the last one: how the request ended. */
int spawn_cleanup_log_last(request_rec *r);

/** The request that a client made, for a subrequest of it or one that it was
 * redirected to. */
request_rec *spawn_first_request(request_rec *r);

/* ---- cleanup_sent.c ---- */

/** In register_hooks. */
void spawn_cleanup_sent_register(void);

/** Hook post_read_request: watch the answer of a stream of HTTP/2. */
int spawn_cleanup_sent_watch(request_rec *r);

/** Did the client go before it had the whole answer? At the request's end. */
bool spawn_cleanup_aborted(request_rec *first);

/* ---- cleanup_handler.c ---- */

/** Handler of SpawnCleanupHandler. */
const char *spawn_cleanup_handler_add(cmd_parms *cmd, void *dir_config,
                                      const char *args);

/** Perl runs: is Apache2::Spawn, which the handlers need, there? Logs when not.
 * At the end of post_config. */
apr_status_t spawn_cleanup_handlers_ready(server_rec *s);
bool spawn_perl_started(void);

/** Refuse handlers where nothing could run them. Logs. */
apr_status_t spawn_cleanup_handlers_check(server_rec *s);

/** Hook child_init: look for mod_perl. */
void spawn_cleanup_handlers_child_init(apr_pool_t *p, server_rec *s);

/** Hook log_transaction, before mod_perl's: have Apache2::Spawn::Cleanup run
 * in it when the request has handlers. */
int spawn_cleanup_log_first(request_rec *r);

/* As in mod_spawn.h. */
const apr_array_header_t *spawn_cleanup_handlers(request_rec *r);

#endif
