/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron.h
 * @brief Recurring jobs on their way to the broker.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_CRON_MODULE_H
#define SPAWN_CRON_MODULE_H

#include "common/spawn_wire.h"
#include "module/config.h"

/** Put each SpawnCron of the configuration into a CONFIGURE. */
void spawn_cron_put(apr_pool_t *p, spawn_writer *w,
                    const spawn_server_config *conf);

#endif
