/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file lock.h
 * @brief Locks that a killed broker has left on the database. Runs in the
 * broker.
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

#endif
