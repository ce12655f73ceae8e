/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_access.h
 * @brief The queues that jobs of a request run in: optional functions of
 * mod_spawn.h, and the check of what httpd.conf names.
 */
#ifndef SPAWN_QUEUE_ACCESS_H
#define SPAWN_QUEUE_ACCESS_H

#include "module/module.h"

/** SpawnDefaultQueue of a request, or (r NULL) of a server; NULL: none. */
const char *spawn_default_queue(request_rec *r, server_rec *s);

/** NULL: the queue may be used. Else why not, in text. */
const char *spawn_queue_refused(request_rec *r, server_rec *s,
                                const char *queue, char *text, apr_size_t room);

#endif
