/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file act.h
 * @brief The acts of the status page, where SpawnStatusControl is on: a page
 * that asks whether one is meant, and the act itself.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_ACT_H
#define SPAWN_STATUS_ACT_H

#include "module/status/page.h"

/** The page that asks. @return 0, or -1 with the page's status and why. */
int spawn_act_ask(spawn_page *page);

/** A form that was sent: done, logged, and the browser sent on to where its
 * effect is seen. @return the same. */
int spawn_act_do(spawn_page *page);

/** A sentence about what has just been done, as the query tells. */
void spawn_act_done(spawn_page *page);

#endif
