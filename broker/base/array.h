/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file array.h
 * @brief Arrays that grow: items, how many are used, how many there is room
 * for.
 */
#ifndef SPAWN_BROKER_BASE_ARRAY_H
#define SPAWN_BROKER_BASE_ARRAY_H

#include <stddef.h>

/**
 * Have room for one more item.
 * @param items NULL: none yet. It is another one afterwards.
 * @param room a number that begins with 0.
 * @param size of an item.
 * @return where the items are now.
 */
void *spawn_array_grow(void *items, size_t used, size_t *room, size_t size);

#endif
