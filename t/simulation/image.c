/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An empty store that is open, ready made. The first life of each run creates
 * its store, always in the same way: to do that costs as much as all else that
 * happens in a short run. So what the first one did to memory and disk is kept,
 * and done again to the others. What they are told, and where they can be
 * killed, is the same as if they did it themselves; and who is killed before it
 * is done, finds a store that fails, or may lose power, which costs some of
 * these writes, does it himself.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/parts.h"
#include "t/simulation/body.h"
#include "t/simulation/durable.h"

#define GRAIN      8                 /* bytes: so much is compared at a time */
#define IMAGE_FROM ((size_t)1 << 20) /* of the broker's memory */

/* The names that --wrap gives. */
int __real_spawn_store_open(spawn_store *store, const char *directory,
                            spawn_failure *why, bool *ret_full);
int __wrap_spawn_store_open(spawn_store *store, const char *directory,
                            spawn_failure *why, bool *ret_full);

/* The change that an open made to a piece of memory. */
typedef struct {
    uint8_t *at;
    size_t size;
    const uint8_t *bytes;
} change;

typedef struct {
    body_part parts[BODY_PARTS];
    uint8_t *copies[BODY_PARTS];
} all_memory;

/* When it can be used. */
typedef struct {
    const spawn_store *store;
    int64_t mono_ms, wall_ms;
    size_t memory_used;
} moment;

static bool there;
static moment before;
static change *changes;
static unsigned changes_used, changes_room;
static uint64_t points;
static int mark, notes;

static void *world_malloc(size_t size)
{
    void *p = body_world_malloc(size);

    if (!p)
        abort();
    return p;
}

static void moment_is(const spawn_store *store, moment *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->store = store;
    ret->mono_ms = board->mono_ms;
    ret->wall_ms = board->wall_ms;
    ret->memory_used = memory_used();
}

static void copy_all(all_memory *m)
{
    unsigned i;

    body_parts(m->parts);
    for (i = 0; i < BODY_PARTS; i++) {
        m->copies[i] = world_malloc(m->parts[i].size + 1);
        memcpy(m->copies[i], m->parts[i].at, m->parts[i].size);
    }
}

static void free_all(all_memory *m)
{
    unsigned i;

    for (i = 0; i < BODY_PARTS; i++)
        body_world_free(m->copies[i]);
}

static void add_change(uint8_t *at, size_t size)
{
    uint8_t *bytes = world_malloc(size);

    if (changes_used == changes_room) {
        change *more = world_malloc((changes_room + 4096) * sizeof(*more));

        if (changes_used)
            memcpy(more, changes, changes_used * sizeof(*more));
        body_world_free(changes);
        changes = more;
        changes_room += 4096;
    }
    memcpy(bytes, at, size);
    changes[changes_used++] = (change){at, size, bytes};
}

/* Memory behind the end of the copy is new. */
static void find_changes(const body_part *now, const uint8_t *was,
                         size_t was_size)
{
    size_t at = 0, from;

    while (at < was_size) {
        size_t n = was_size - at < GRAIN ? was_size - at : GRAIN;

        from = at;
        while (at < was_size && memcmp(now->at + at, was + at, n) != 0) {
            at += n;
            n = was_size - at < GRAIN ? was_size - at : GRAIN;
        }
        if (at > from)
            add_change(now->at + from, at - from);
        else
            at += n;
    }
    if (now->size > was_size)
        add_change(now->at + was_size, now->size - was_size);
}

static void keep(const all_memory *was, const spawn_store *store,
                 uint64_t its_points)
{
    body_part now[BODY_PARTS];
    unsigned i;

    body_parts(now);
    for (i = 0; i < BODY_PARTS; i++)
        find_changes(&now[i], was->copies[i], was->parts[i].size);
    disk_keep();
    points = its_points;
    mark = store->lock.mark;
    notes = store->launches.fd;
    there = true;
}

static int make(spawn_store *store, const char *directory, spawn_failure *why,
                bool *ret_full)
{
    uint64_t points_before = board->points;
    all_memory was;
    int rv;

    moment_is(store, &before);
    copy_all(&was);
    rv = __real_spawn_store_open(store, directory, why, ret_full);
    if (rv == 0)
        keep(&was, store, board->points - points_before);
    free_all(&was);
    return rv;
}

static bool has_open(const char *name, int wanted)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", world_dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd != wanted)
        (void)close(fd);
    return fd == wanted;
}

/* All that it has of the real disk; where one is missing nothing is open. */
static bool has_files(void)
{
    if (!has_open("broker.lock", mark))
        return false;
    if (has_open("launches", notes))
        return true;
    (void)close(mark);
    return false;
}

static bool can_be_used(const spawn_store *store)
{
    moment now;

    moment_is(store, &now);
    return memcmp(&now, &before, sizeof(now)) == 0
           && (board->die_at == 0 || board->die_at > board->points + points)
           && has_files();
}

int __wrap_spawn_store_open(spawn_store *store, const char *directory,
                            spawn_failure *why, bool *ret_full)
{
    unsigned i;

    if (!disk_is_empty() || board->store != STORE_GOOD || board->fail_in
        || with_power_cuts)
        return __real_spawn_store_open(store, directory, why, ret_full);
    memory_only_new(IMAGE_FROM); /* so what it changes is always the same */
    if (!there && board->die_at == 0 && body_has_parts())
        return make(store, directory, why, ret_full);
    if (!there || !can_be_used(store))
        return __real_spawn_store_open(store, directory, why, ret_full);
    for (i = 0; i < changes_used; i++)
        memcpy(changes[i].at, changes[i].bytes, changes[i].size);
    disk_as_kept();
    board->points += points;
    *ret_full = false;
    return 0;
}
