/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that grow, and are never given back. Runs in the broker. Must not be
 * used for a size that a caller chose.
 */
#include "broker/base/array.h"

#include "broker/base/alloc.h"

#define FIRST 16

void *spawn_array_grow(void *items, size_t used, size_t *room, size_t size)
{
    if (used < *room)
        return items;
    *room = *room ? *room * 2 : FIRST;
    return spawn_realloc(items, *room * size);
}
