/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawner_hangs.h
 * @brief Does the spawner hang? Then no job starts, no end is told, no time-out
 * is kept: it is replaced.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_SPAWNER_HANGS_H
#define SPAWN_SPAWNER_HANGS_H

#include "module/setup.h"

/** A spawner of this release was started, or adopted. */
void spawn_hangs_release(const char *release);

/** There is another spawner, or another configuration. */
void spawn_hangs_begin(void);

/** For the monitor hook, when what the spawner has said is read: ask it for a
 * sign of life, and look whether it gave one. One that hangs is killed. */
void spawn_hangs_look(const spawn_setup *setup);

#endif
