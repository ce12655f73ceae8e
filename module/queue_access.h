/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_access.h
 * @brief The queues that jobs of a request run in: an optional function
 * of perl_runner.h, and the check of what httpd.conf names.
 */
#ifndef SPAWN_QUEUE_ACCESS_H
#define SPAWN_QUEUE_ACCESS_H

#include "module/queue_choice.h"

/** The rules of a request; r NULL: of what stands in a server's own context (s
 * NULL: the main server's). */
const spawn_dir_queues *spawn_queues_of(const request_rec *r,
                                        const server_rec *s);

/** spawn_queues_choose for a request or a server: optional function of
 * perl_runner.h. */
const char *spawn_queue_choose(request_rec *r, server_rec *s, const char *named,
                               char *text, apr_size_t room);

/** Optional function of perl_runner.h. */
bool spawn_queue_refuses(request_rec *r, const char *named,
                         const char *variable);

#endif
