/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file socket_access.h
 * @brief The accounts that may connect to the callers' socket: SpawnSocketMode
 * and SpawnSocketGroup.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_SOCKET_ACCESS_H
#define SPAWN_SOCKET_ACCESS_H

#include <sys/types.h>

#include "module/account.h"
#include "module/config.h"

typedef struct {
    mode_t mode;
    gid_t gid;
} spawn_socket_access;

/** As configured; without a directive by the broker's account. */
spawn_socket_access spawn_socket_access_of(const spawn_server_config *conf,
                                           const spawn_account *account);

#endif
