/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file watch.h
 * @brief Notices that the spawner died, and starts another one.
 *
 * Runs in the httpd parent, in the MPM's loop.
 */
#ifndef SPAWN_WATCH_H
#define SPAWN_WATCH_H

#include "module/setup.h"

/** Watch the spawner until pconf is cleared. setup lives in pconf. */
void spawn_watch_begin(const spawn_setup *setup);

/** Hook: about every 10 s. */
int spawn_watch_monitor(apr_pool_t *p, server_rec *s);

/** The setup that is watched: the present configuration. NULL before the first
 * spawn_watch_begin. */
const spawn_setup *spawn_watch_setup(void);

#endif
