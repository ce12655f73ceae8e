/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file in_use.h
 * @brief Did the machine stop while a broker had the store?
 *
 * Then what the store was told in the last moments may not be on the disk.
 */
#ifndef SPAWN_BROKER_STORE_IN_USE_H
#define SPAWN_BROKER_STORE_IN_USE_H

#include "broker/store/store.h"

/** The store is open, and no job of it has started: note on the disk that it is
 * in use. Again: nothing. */
void spawn_in_use_begin(spawn_store *store);

/** It was in use when the broker before this one ended. */
bool spawn_in_use_was(const spawn_store *store);

/** The store is closed and has all that there is to store, the broker ends, and
 * so does the pair: this waits for the disk. */
void spawn_in_use_over(spawn_store *store);

#endif
