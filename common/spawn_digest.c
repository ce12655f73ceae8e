/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of an order. Runs in the broker, and in workers. Must be the same
 * in both, and in all releases: it stands in the store.
 */
#include "common/spawn_digest.h"

#include "common/spawn_proto.h"

static uint64_t mix(uint64_t hash, const uint8_t *p, size_t length)
{
    while (length-- > 0)
        hash = (hash ^ *p++) * 0x100000001b3ull; /* FNV-1a */
    return hash;
}

uint64_t spawn_digest(const void *attrs, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    spawn_reader r;
    spawn_attr a;

    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id == SPAWN_A_REPLY || a.id == SPAWN_A_CONTEXT)
            continue;
        hash = mix(hash, a.data - SPAWN_WIRE_ATTR_HEADER,
                   SPAWN_WIRE_ATTR_HEADER + (size_t)a.length);
    }
    return hash;
}
