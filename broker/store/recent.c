/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of jobs that ended a moment ago: a ring, and a table into it. Runs in the
 * broker. Must never call an id new that the store may have.
 */
#include "broker/store/recent.h"

#include "common/spawn_hash.h"
#include "broker/store/parts.h"

/* Callers choose their ids. */
static unsigned place_of(const spawn_id *id)
{
    return (unsigned)spawn_hash_id(id) & (SPAWN_RECENT_PLACES - 1);
}

void spawn_recent_begin(spawn_store *store, uint64_t newest)
{
    store->recent.floor_time = newest;
}

static void forget(spawn_store *store, unsigned at)
{
    spawn_part_recent *r = &store->recent;
    uint16_t *link = &r->places[place_of(&r->ring[at])];
    uint64_t time = spawn_id_time(&r->ring[at]);

    while (*link != at + 1)
        link = &r->next_in_place[*link - 1];
    *link = r->next_in_place[at];
    if (time > r->floor_time)
        r->floor_time = time;
}

void spawn_recent_add(spawn_store *store, const spawn_id *id)
{
    spawn_part_recent *r = &store->recent;
    uint16_t *place = &r->places[place_of(id)];
    unsigned at = r->oldest;

    if (r->used == SPAWN_RECENT_RING)
        forget(store, at);
    else
        r->used++;
    r->oldest = (r->oldest + 1) % SPAWN_RECENT_RING;
    r->ring[at] = *id;
    r->next_in_place[at] = *place;
    *place = (uint16_t)(at + 1);
}

bool spawn_recent_is_new(const spawn_store *store, const spawn_id *id)
{
    const spawn_part_recent *r = &store->recent;
    uint16_t at = r->places[place_of(id)];

    if (spawn_id_time(id) <= r->floor_time)
        return false;
    for (; at; at = r->next_in_place[at - 1]) {
        if (spawn_id_equal(&r->ring[at - 1], id))
            return false;
    }
    return true;
}
