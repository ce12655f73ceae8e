/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_hash.h
 * @brief Where something lies in a table, by a name or id that somebody else
 * has chosen: nobody can foretell which of them share a place.
 *
 * SipHash-1-3 with a random key of the process. Never for what another process
 * reads, nor for what is kept.
 */
#ifndef SPAWN_HASH_H
#define SPAWN_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/spawn_id.h"

/** before: 0, or the hash of what comes before these bytes. */
uint64_t spawn_hash(uint64_t before, const void *data, size_t length);

static inline uint64_t spawn_hash_id(const spawn_id *id)
{
    return spawn_hash(0, id->bytes, SPAWN_ID_SIZE);
}

#endif
