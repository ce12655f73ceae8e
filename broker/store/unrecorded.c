/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of calls that ended while the store took nothing. Runs in the broker.
 * Must not grow: a store may fail for days, under thousands of calls a second.
 *
 * Each id has one place, by its random part; a later one takes it.
 */
#include "broker/store/unrecorded.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 4096u /* a power of two */

typedef struct {
    spawn_id id;
    uint64_t digest;
    bool used;
} place;

static place *places; /* none before the first call of this kind */

static place *place_of(const spawn_id *id)
{
    uint32_t random;

    memcpy(&random, id->bytes + SPAWN_ID_SIZE - sizeof(random), sizeof(random));
    return &places[random & (PLACES - 1)];
}

void spawn_unrecorded_add(const spawn_id *id, uint64_t digest)
{
    if (!places)
        places = calloc(PLACES, sizeof(*places));
    if (places)
        *place_of(id) = (place){.id = *id, .digest = digest, .used = true};
}

bool spawn_unrecorded_find(const spawn_id *id, uint64_t *ret_digest)
{
    const place *p = places ? place_of(id) : NULL;

    if (!p || !p->used || !spawn_id_equal(&p->id, id))
        return false;
    *ret_digest = p->digest;
    return true;
}
