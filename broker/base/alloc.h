/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file alloc.h
 * @brief Small objects of the broker: there is memory, or the broker ends.
 *
 * A broker that has no memory for 200 bytes cannot go on in a sensible way, and
 * its end loses nothing: the spawner starts another. Big buffers whose size a
 * caller chose are not taken from here: when they cannot be had, the caller
 * gets an error.
 */
#ifndef SPAWN_BROKER_BASE_ALLOC_H
#define SPAWN_BROKER_BASE_ALLOC_H

#include <stddef.h>

/** Zeroed memory, never NULL. Free with free(3). */
void *spawn_alloc(size_t size);

/** As realloc(3), never NULL. */
void *spawn_realloc(void *old, size_t size);

/** A copy of a text, never NULL. */
char *spawn_strdup(const char *text);

#endif
