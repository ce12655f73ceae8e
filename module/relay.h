/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file relay.h
 * @brief The directives of shared queues: SpawnRelay, SpawnRelayName,
 * SpawnShared.
 */
#ifndef SPAWN_MODULE_RELAY_H
#define SPAWN_MODULE_RELAY_H

#include "common/spawn_wire.h"
#include "module/config.h"

const char *spawn_relay_directive(cmd_parms *cmd, void *dir_config,
                                  const char *arg);
const char *spawn_relay_name_directive(cmd_parms *cmd, void *dir_config,
                                       const char *arg);
const char *spawn_shared_directive(cmd_parms *cmd, void *dir_config, int on);

/** Do they fit together, and to their queues? APR_SUCCESS, or APR_EINVAL with
 * the fault in the log. */
apr_status_t spawn_relay_complete(apr_pool_t *p, server_rec *s,
                                  spawn_server_config *conf);

/** Put them into CONFIGURE. */
void spawn_relay_put(spawn_writer *w, const spawn_server_config *conf);

#endif
