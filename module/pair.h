/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair.h
 * @brief The pair's beginning and end: start one, adopt one that lingers, give
 * it the configuration, wait until it is ready.
 *
 * Runs in the httpd parent. All log what goes wrong.
 */
#ifndef SPAWN_PAIR_H
#define SPAWN_PAIR_H

#include "module/setup.h"

/** First start of this parent: start a pair or adopt one, until it is ready. */
apr_status_t spawn_pair_start_or_adopt(const spawn_setup *setup);

/** A restart: give the pair the new configuration, or start a new spawner on
 * the sockets when there is none. Failures are logged, and httpd goes on. */
void spawn_pair_reconfigure(const spawn_setup *setup);

/** A restart with a configuration that cannot be, for a reason that has been
 * logged: the pair goes on with its own. */
void spawn_pair_leave(const spawn_setup *setup);

/** Start a spawner on the sockets of r (or adopt the one that has the store and
 * no httpd), in the MPM's loop: does not wait for READY, and sends GO right
 * behind CONFIGURE. */
apr_status_t spawn_pair_respawn(const spawn_setup *setup);

/** httpd ends. When there is no spawner, start one that stores the jobs in
 * sockets and inbox, which would be lost with httpd. */
void spawn_pair_at_end(const spawn_setup *setup);

#endif
