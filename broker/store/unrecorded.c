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

static struct {
    spawn_unrecorded call;
    bool used;
} * places; /* none before the first call of this kind */

static uint32_t place_of(const spawn_id *id)
{
    uint32_t random;

    memcpy(&random, id->bytes + SPAWN_ID_SIZE - sizeof(random), sizeof(random));
    return random & (PLACES - 1);
}

void spawn_unrecorded_add(const spawn_unrecorded *call)
{
    uint32_t at = place_of(&call->id);

    if (!places)
        places = calloc(PLACES, sizeof(*places));
    if (!places)
        return;
    places[at].call = *call;
    places[at].used = true;
}

const spawn_unrecorded *spawn_unrecorded_find(const spawn_id *id)
{
    uint32_t at = place_of(id);

    return places && places[at].used && spawn_id_equal(&places[at].call.id, id)
               ? &places[at].call
               : NULL;
}
