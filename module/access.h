/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file access.h
 * @brief SpawnAccess, on its way to the broker.
 *
 * Runs in the httpd parent; spawn_access_lets_in in its children.
 */
#ifndef SPAWN_ACCESS_MODULE_H
#define SPAWN_ACCESS_MODULE_H

#include "common/spawn_wire.h"
#include "module/setup.h"
#include "module/socket_access.h"

/** Put what is said of accounts into a CONFIGURE. */
void spawn_access_put(spawn_writer *w, const spawn_server_config *conf);

/** Write to the log of which accounts what is said does not count. */
void spawn_access_tell(const spawn_setup *setup);

/**
 * Does any SpawnAccess name this account? Asks no name service: of an account
 * that is not our own the groups count that it is given here. pool: of the
 * request.
 */
bool spawn_access_lets_in(const spawn_server_config *conf, uid_t uid, gid_t gid,
                          apr_pool_t *pool);

#endif
