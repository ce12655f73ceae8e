/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file allow.h
 * @brief SpawnAllow: what queues run, checked where httpd.conf says it itself,
 * and on its way to spawner and broker.
 *
 * Runs in the httpd parent, but for the one that says so.
 */
#ifndef SPAWN_ALLOW_MODULE_H
#define SPAWN_ALLOW_MODULE_H

#include "common/spawn_wire.h"
#include "module/config.h"

/** Does the queue run this function or program (an absolute path)? A queue that
 * is not configured runs everything here. */
bool spawn_allow_queue(const spawn_server_config *conf, const char *queue,
                       const char *what);

/** Has the queue a list? Also in httpd children. */
bool spawn_allow_has_list(const spawn_server_config *conf, const char *queue);

/** Does any queue run this function? */
bool spawn_allow_any(const spawn_server_config *conf, const char *function);

/** The patterns of a queue, for people. */
const char *spawn_allow_text(apr_pool_t *p, const spawn_server_config *conf,
                             const char *queue);

/** Put the lists of all queues into a CONFIGURE; nothing when there is none. */
void spawn_allow_put(spawn_writer *w, const spawn_server_config *conf);

#endif
