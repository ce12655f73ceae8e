/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lock.h
 * @brief Locks that a killed broker has left on the database, and the mark of
 * the one that lives. Runs in the broker.
 */
#ifndef SPAWN_BROKER_STORE_LOCK_H
#define SPAWN_BROKER_STORE_LOCK_H

#include <stdbool.h>

#include "broker/store/store.h"

/** Is the database locked by a broker that has ended? A closer (spawn_closer.h)
 * that hangs has the killed broker's descriptors, and so its locks, until it
 * ends. Must not be called while the store is open: to close any descriptor of
 * a file gives up our own locks of it. */
bool spawn_store_locked_by_the_dead(spawn_store *store);

/** Mark the store as one that a broker has, for the next one to see; once more
 * when the mark was removed. The store may be open. */
void spawn_store_mark(spawn_store *store);

#endif
