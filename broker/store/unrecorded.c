/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of calls that have ended and that the store does not have. Runs in the
 * broker. Must not grow: a store may fail for days, under thousands of calls a
 * second.
 *
 * Each id has a few places, by its random part; the oldest of these goes first.
 * A broker can be killed at any point: a place is free while its number is 0.
 */
#include "broker/store/unrecorded.h"

#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/job/queue.h"

/* Of this layout; another one has another number. */
#define MARK   UINT64_C(0x7370776e756e7201)
#define PLACES 4096u /* a power of two */
#define TRIED  8u    /* for each id */

typedef struct {
    uint64_t number; /* the higher, the later; 0: free */
    spawn_unrecorded call;
} place;

typedef struct {
    uint64_t mark, size;
    uint64_t last; /* number that was given */
    place of[PLACES];
} table;

static table *calls;

size_t spawn_unrecorded_size(void)
{
    return sizeof(table);
}

/* A part of zeros is not touched: it takes no memory. A broker that is killed
 * in here leaves mark and size as they were, and the next one begins again. */
static void begin(table *t)
{
    if (t->mark || t->size)
        memset(&t->last, 0, sizeof(*t) - offsetof(table, last));
    __atomic_store_n(&t->size, sizeof(*t), __ATOMIC_RELEASE);
    __atomic_store_n(&t->mark, MARK, __ATOMIC_RELEASE);
}

void spawn_unrecorded_open(void *room)
{
    if (calls)
        return;
    calls = room ? room : calloc(1, sizeof(*calls));
    if (calls && (calls->mark != MARK || calls->size != sizeof(*calls)))
        begin(calls);
}

static place *place_of(const spawn_id *id, unsigned i)
{
    uint32_t random;

    memcpy(&random, id->bytes + SPAWN_ID_SIZE - sizeof(random), sizeof(random));
    return &calls->of[(random + i) & (PLACES - 1)];
}

static place *find(const spawn_id *id)
{
    unsigned i;

    for (i = 0; calls && calls->last && i < TRIED; i++) {
        place *p = place_of(id, i);

        if (p->number && spawn_id_equal(&p->call.id, id))
            return p;
    }
    return NULL;
}

static place *oldest(const spawn_id *id)
{
    place *ret = place_of(id, 0);
    unsigned i;

    for (i = 1; i < TRIED; i++) {
        place *p = place_of(id, i);

        if (p->number < ret->number)
            ret = p;
    }
    return ret;
}

void spawn_unrecorded_add(const spawn_unrecorded *call)
{
    place *p = find(&call->id);

    if (!calls || p)
        return;
    p = oldest(&call->id);
    __atomic_store_n(&p->number, 0, __ATOMIC_SEQ_CST);
    p->call = *call;
    __atomic_store_n(&p->number, ++calls->last, __ATOMIC_SEQ_CST);
}

void spawn_unrecorded_keep(const spawn_job *job)
{
    spawn_unrecorded call = {
        .id = job->id, .digest = job->digest, .caller_uid = job->caller_uid};

    (void)snprintf(call.queue, sizeof(call.queue), "%s", job->queue->name);
    spawn_unrecorded_add(&call);
}

void spawn_unrecorded_drop(const spawn_id *id)
{
    place *p = find(id);

    if (p)
        __atomic_store_n(&p->number, 0, __ATOMIC_RELEASE);
}

const spawn_unrecorded *spawn_unrecorded_find(const spawn_id *id)
{
    place *p = find(id);

    if (!p)
        return NULL;
    p->call.queue[SPAWN_NAME_MAX] = '\0'; /* another process wrote it */
    return &p->call;
}
