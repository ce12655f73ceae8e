/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file look.h
 * @brief A big store that another boot has written is looked at in slices,
 * while jobs run.
 */
#ifndef SPAWN_BROKER_STORE_LOOK_H
#define SPAWN_BROKER_STORE_LOOK_H

#include "broker/store/store.h"

/** All of it is to be looked at, from its beginning. 0; -1: what recovery reads
 * of it is damaged; 1: it cannot be read now. */
int spawn_look_begin(spawn_store *store);

/** Look on for some milliseconds. Damage is met: damage.c. True: call again
 * soon. */
bool spawn_look_on(spawn_store *store);

#endif
