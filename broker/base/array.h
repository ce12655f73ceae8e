/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file array.h
 * @brief Arrays that grow: the items, how many are used, and how many there is
 * room for.
 */
#ifndef SPAWN_BROKER_BASE_ARRAY_H
#define SPAWN_BROKER_BASE_ARRAY_H

#include <stddef.h>

/**
 * Make room for one more item.
 * @param items NULL: none yet. The address may change.
 * @param room begins with 0.
 * @param size of an item.
 * @return where the items are now.
 */
void *spawn_array_grow(void *items, size_t used, size_t *room, size_t size);

#endif
