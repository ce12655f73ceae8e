/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heaps of moments. Runs in the broker. Frees no moment: each is a member
 * of the object that it belongs to.
 */
#include "broker/base/moments.h"

#include "common/spawn_os.h"
#include "broker/base/array.h"

typedef struct {
    spawn_moment **at; /* at[1] is the earliest */
    uint32_t used;
    size_t room;
} heap;

static heap by_boot, by_day;

static heap *heap_of(const spawn_moment *m)
{
    return m->boot ? &by_boot : &by_day;
}

static int64_t key(const spawn_moment *m)
{
    return m->boot ? m->boot : m->wall;
}

static int64_t now_of(const heap *h)
{
    return h == &by_boot ? spawn_boot_ms() : spawn_wall_ms();
}

/* Numbers start again some time, far from those that are still in use. */
static bool before(const spawn_moment *a, const spawn_moment *b)
{
    return key(a) != key(b) ? key(a) < key(b)
                            : (int32_t)(a->number - b->number) < 0;
}

static void put(heap *h, uint32_t place, spawn_moment *m)
{
    h->at[place] = m;
    m->place = place;
}

static void sift_up(heap *h, uint32_t place)
{
    spawn_moment *m = h->at[place];

    while (place > 1 && before(m, h->at[place / 2])) {
        put(h, place, h->at[place / 2]);
        place /= 2;
    }
    put(h, place, m);
}

static void sift_down(heap *h, uint32_t place)
{
    spawn_moment *m = h->at[place];

    for (;;) {
        uint32_t child = place * 2;

        if (child > h->used)
            break;
        if (child < h->used && before(h->at[child + 1], h->at[child]))
            child++;
        if (!before(h->at[child], m))
            break;
        put(h, place, h->at[child]);
        place = child;
    }
    put(h, place, m);
}

void spawn_moment_in(spawn_moment *m, int64_t ms)
{
    m->wall = spawn_wall_ms() + ms;
    m->boot = spawn_boot_ms() + ms;
}

void spawn_moment_at(spawn_moment *m, int64_t wall)
{
    m->wall = wall;
    m->boot = 0;
}

int64_t spawn_moment_left(const spawn_moment *m)
{
    return key(m) - now_of(heap_of(m));
}

int64_t spawn_moment_time(const spawn_moment *m)
{
    return m->boot ? spawn_wall_ms() + spawn_moment_left(m) : m->wall;
}

void spawn_moment_wait(spawn_moment *m)
{
    static uint32_t numbers;
    heap *h = heap_of(m);

    if (m->place)
        return;
    while (m->number == 0)
        m->number = ++numbers;
    h->at = spawn_array_grow(h->at, (size_t)h->used + 1, &h->room,
                             sizeof(spawn_moment *));
    put(h, ++h->used, m);
    sift_up(h, h->used);
}

void spawn_moment_forget(spawn_moment *m)
{
    uint32_t place = m->place;
    heap *h = heap_of(m);
    spawn_moment *last;

    if (place == 0)
        return;
    m->place = 0;
    last = h->at[h->used--];
    if (last == m)
        return;
    put(h, place, last);
    sift_up(h, place);
    sift_down(h, last->place);
}

static spawn_moment *come(heap *h)
{
    spawn_moment *m = h->used ? h->at[1] : NULL;

    if (!m || key(m) > now_of(h))
        return NULL;
    spawn_moment_forget(m);
    return m;
}

spawn_moment *spawn_moment_come(void)
{
    spawn_moment *m = come(&by_boot);

    return m ? m : come(&by_day);
}

int64_t spawn_moments_next(void)
{
    int64_t next = -1, left;

    if (by_boot.used) {
        left = spawn_moment_left(by_boot.at[1]);
        next = left > 0 ? left : 0;
    }
    if (by_day.used) {
        left = spawn_moment_left(by_day.at[1]);
        left = left > 0 ? left : 0;
        if (next < 0 || left < next)
            next = left;
    }
    return next;
}

/* Below one that has not come there is none that comes before it. */
static int64_t after(const heap *h, uint32_t place, int64_t now)
{
    int64_t left, right;

    if (place > h->used)
        return -1;
    if (key(h->at[place]) > now)
        return key(h->at[place]) - now;
    left = after(h, place * 2, now);
    right = after(h, place * 2 + 1, now);
    return left < 0 || (right >= 0 && right < left) ? right : left;
}

int64_t spawn_moments_after(void)
{
    int64_t boot = after(&by_boot, 1, now_of(&by_boot));
    int64_t day = after(&by_day, 1, now_of(&by_day));

    return boot < 0 || (day >= 0 && day < boot) ? day : boot;
}

bool spawn_moments_of_day(void)
{
    return by_day.used > 0;
}
