/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue_account.h
 * @brief The accounts of jobs, for CONFIGURE.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_QUEUE_ACCOUNT_H
#define SPAWN_QUEUE_ACCOUNT_H

#include "module/config.h"
#include "common/spawn_wire.h"

/** Put each account, with the queues and templates that have it; nothing
 * without SpawnBrokerUser.
 * @param account httpd's User, of those that have none of their own. */
void spawn_queue_accounts_put(spawn_writer *w, const spawn_server_config *conf,
                              const spawn_account *account);

#endif
