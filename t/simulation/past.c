/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store were: of each write it is kept what was there
 * before. When the power fails, the last of them are undone. So the disk never
 * has a later write without those before it, which a real one may: but what
 * comes of that is a store that is damaged, and so is set aside. That is the
 * same as one that is gone.
 */
#include "t/simulation/past.h"

#include <stdlib.h>
#include <string.h>

#include "t/simulation/body.h"
#include "t/simulation/world.h"

#define WRITTEN_WITHIN 30000 /* ms; by then the kernel has */

typedef struct was was;
struct was {
    was *before;
    stored *of;
    bool there;
    char path[sizeof(((stored *)0)->path)];
    int64_t mono_ms;
    sqlite3_int64 size, at, length;
    uint8_t data[];
};

static bool kept;
static was *last;

void past_forget(void)
{
    while (last) {
        was *w = last;

        last = w->before;
        body_world_free(w);
    }
}

void past_begin(bool keep)
{
    past_forget();
    kept = keep;
}

void past_write(stored *s, sqlite3_int64 at, sqlite3_int64 length)
{
    was *w;

    if (!kept)
        return;
    if (at > s->size)
        at = s->size;
    if (at + length > s->size)
        length = s->size - at;
    w = body_world_malloc(sizeof(*w) + (size_t)length);
    if (!w)
        abort();
    *w = (was){.before = last,
               .of = s,
               .there = s->there,
               .mono_ms = board->mono_ms,
               .size = s->size,
               .at = at,
               .length = length};
    memcpy(w->path, s->path, sizeof(w->path));
    if (length)
        memcpy(w->data, s->data + at, (size_t)length);
    last = w;
}

static void undo(const was *w)
{
    stored *s = w->of;

    memcpy(s->path, w->path, sizeof(w->path));
    s->there = w->there;
    s->size = w->size;
    if (w->length)
        memcpy(s->data + w->at, w->data, (size_t)w->length);
}

static void undo_some(unsigned count)
{
    unsigned undone = 0;

    while (last && undone < count
           && last->mono_ms >= board->mono_ms - WRITTEN_WITHIN) {
        was *w = last;

        undo(w);
        last = w->before;
        body_world_free(w);
        undone++;
    }
    say("%u writes of the store are lost", undone);
}

void past_comes_back(void)
{
    unsigned dice = random_below(100);

    if (dice < 30)
        undo_some(0);
    else if (dice < 60)
        undo_some(random_below(30));
    else if (dice < 95)
        undo_some(random_below(600));
    else
        disk_empty();
}
