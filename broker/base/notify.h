/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file notify.h
 * @brief Which directories have changed: one inotify for the whole broker.
 *
 * The spawner makes it and hands it to each broker. When the last descriptor of
 * an inotify is closed the kernel waits for some 10 to 30 ms (a grace period of
 * SRCU), and in the end of a killed process that wait comes before its parent
 * is told. So the spawner keeps one, and a broker that is killed has gone at
 * once.
 */
#ifndef SPAWN_BROKER_BASE_NOTIFY_H
#define SPAWN_BROKER_BASE_NOTIFY_H

#include <stdint.h>

/** Where the spawner puts it. */
#define SPAWN_NOTIFY_FD 4

/** Something has changed in a directory; the events have been read. */
typedef void (*spawn_notify_fn)(void);

/** Take what the spawner handed over in fd; without it (an inotify cannot be
 * had, or fd is something else) the broker makes one when it needs it. Call
 * once, at the start; fd belongs to this file when it is an inotify. */
void spawn_notify_take(int fd);

/**
 * Watch a directory, by the path where it is now, until it is removed.
 * @param path   of a directory
 * @param events IN_ bits of inotify(7)
 * @param to     one function for each part of the broker that watches
 * @return 0 or a negative errno.
 */
int spawn_notify_watch(const char *path, uint32_t events, spawn_notify_fn to);

/** Watch none of the directories that this function was told of. */
void spawn_notify_leave(spawn_notify_fn to);

#endif
