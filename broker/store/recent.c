/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of jobs that ended a moment ago: a ring, and a table into it. Runs in the
 * broker.
 */
#include "broker/store/recent.h"

#include <string.h>

#define RING   4096  /* ids */
#define PLACES 16384 /* of the table; a power of two */

static spawn_id ring[RING];
static uint16_t next_in_place[RING]; /* + 1; 0: the last one */
static uint16_t places[PLACES];      /* + 1; 0: none */
static unsigned used, oldest;
static uint64_t floor_time = UINT64_MAX; /* ids up to it may be forgotten */

/* The end of an id is random. */
static unsigned place_of(const spawn_id *id)
{
    unsigned h;

    memcpy(&h, id->bytes + SPAWN_ID_SIZE - sizeof(h), sizeof(h));
    return h & (PLACES - 1);
}

void spawn_recent_begin(uint64_t newest)
{
    floor_time = newest;
}

static void forget(unsigned at)
{
    uint16_t *link = &places[place_of(&ring[at])];
    uint64_t time = spawn_id_time(&ring[at]);

    while (*link != at + 1)
        link = &next_in_place[*link - 1];
    *link = next_in_place[at];
    if (time > floor_time)
        floor_time = time;
}

void spawn_recent_add(const spawn_id *id)
{
    uint16_t *place = &places[place_of(id)];
    unsigned at = oldest;

    if (used == RING)
        forget(at);
    else
        used++;
    oldest = (oldest + 1) % RING;
    ring[at] = *id;
    next_in_place[at] = *place;
    *place = (uint16_t)(at + 1);
}

bool spawn_recent_is_new(const spawn_id *id)
{
    uint16_t at = places[place_of(id)];

    if (spawn_id_time(id) <= floor_time)
        return false;
    for (; at; at = next_in_place[at - 1]) {
        if (spawn_id_equal(&ring[at - 1], id))
            return false;
    }
    return true;
}
