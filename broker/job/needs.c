/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that come after others. Runs in the broker. Ends no job: run/order.c
 * does.
 */
#include "broker/job/needs.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_hash.h"
#include "broker/base/alloc.h"
#include "broker/job/queue.h"

static spawn_need **table; /* open needs, by the id of what is needed */
static size_t table_size;  /* a power of two */
static size_t count;

/* Callers choose their ids. */
static spawn_need **place_of(const spawn_id *id)
{
    return &table[spawn_hash_id(id) & (table_size - 1)];
}

static void link_need(spawn_need *n)
{
    spawn_need **at = place_of(&n->id);

    n->prev = NULL;
    n->next = *at;
    if (n->next)
        n->next->prev = n;
    *at = n;
}

static void grow(void)
{
    spawn_need **old = table;
    size_t old_size = table_size, i;

    table_size = old_size ? old_size * 2 : 64;
    table = spawn_alloc(table_size * sizeof(spawn_need *));
    for (i = 0; i < old_size; i++) {
        while (old[i]) {
            spawn_need *n = old[i];

            old[i] = n->next;
            link_need(n);
        }
    }
    free(old);
}

static void open_need(spawn_need *n)
{
    if (count >= table_size)
        grow();
    link_need(n);
    n->open = true;
    n->of->open++;
    count++;
}

static void close_need(spawn_need *n)
{
    if (n->next)
        n->next->prev = n->prev;
    if (n->prev)
        n->prev->next = n->next;
    else
        *place_of(&n->id) = n->next;
    n->open = false;
    n->of->open--;
    count--;
}

static bool has(const spawn_needs *needs, const spawn_id *id)
{
    unsigned i = 0;

    while (i < needs->count && !spawn_id_equal(&needs->need[i].id, id))
        i++;
    return i < needs->count;
}

void spawn_needs_make(spawn_job *job, const uint8_t *ids, unsigned most,
                      unsigned when_failed)
{
    spawn_needs *needs =
        spawn_alloc(sizeof(*needs) + most * sizeof(spawn_need));
    unsigned i;

    needs->job = job;
    needs->when_failed = (uint8_t)when_failed;
    for (i = 0; i < most; i++) {
        spawn_need *n = &needs->need[needs->count];
        spawn_id id;

        memcpy(id.bytes, ids + (size_t)i * SPAWN_ID_SIZE, SPAWN_ID_SIZE);
        if (has(needs, &id))
            continue;
        n->id = id;
        n->of = needs;
        open_need(n);
        needs->count++;
    }
    job->needs = needs;
    if (needs->open)
        spawn_queue_block(job, SPAWN_BLOCKED_BY_JOBS);
}

void spawn_need_over(spawn_need *n)
{
    if (!n->open)
        return;
    close_need(n);
    if (n->of->open == 0)
        spawn_queue_unblock(n->of->job, SPAWN_BLOCKED_BY_JOBS);
}

void spawn_needs_over(spawn_job *job)
{
    unsigned i;

    for (i = 0; job->needs && i < job->needs->count; i++)
        spawn_need_over(&job->needs->need[i]);
}

spawn_need *spawn_need_of(const spawn_id *id, const spawn_need *after)
{
    spawn_need *n = count == 0 ? NULL : after ? after->next : *place_of(id);

    while (n && !spawn_id_equal(&n->id, id))
        n = n->next;
    return n;
}

void spawn_needs_drop(spawn_job *job)
{
    spawn_needs *needs = job->needs;
    unsigned i;

    if (!needs)
        return;
    for (i = 0; i < needs->count; i++) {
        if (needs->need[i].open)
            close_need(&needs->need[i]);
    }
    free(needs);
    job->needs = NULL;
}
