/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file access.h
 * @brief SpawnAccess, on its way to the broker.
 *
 * Runs in the httpd parent.
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

#endif
