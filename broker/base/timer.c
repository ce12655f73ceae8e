/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap of deadlines. Runs in the broker. Frees no timer: each is a member
 * of the object that it belongs to.
 */
#include "broker/base/timer.h"

#include "broker/base/array.h"

static spawn_timer **heap; /* heap[1] is the earliest */
static uint32_t used;
static size_t room;

static void put(uint32_t place, spawn_timer *t)
{
    heap[place] = t;
    t->place = place;
}

static void sift_up(uint32_t place)
{
    spawn_timer *t = heap[place];

    while (place > 1 && heap[place / 2]->at > t->at) {
        put(place, heap[place / 2]);
        place /= 2;
    }
    put(place, t);
}

static void sift_down(uint32_t place)
{
    spawn_timer *t = heap[place];

    for (;;) {
        uint32_t child = place * 2;

        if (child > used)
            break;
        if (child < used && heap[child + 1]->at < heap[child]->at)
            child++;
        if (heap[child]->at >= t->at)
            break;
        put(place, heap[child]);
        place = child;
    }
    put(place, t);
}

void spawn_timer_set(spawn_timer *t, int64_t at)
{
    spawn_timer_clear(t);
    heap = spawn_array_grow(heap, (size_t)used + 1, &room, sizeof(*heap));
    t->at = at;
    put(++used, t);
    sift_up(used);
}

void spawn_timer_clear(spawn_timer *t)
{
    uint32_t place = t->place;
    spawn_timer *last;

    if (place == 0)
        return;
    t->place = 0;
    last = heap[used--];
    if (last == t)
        return;
    put(place, last);
    sift_up(place);
    sift_down(last->place);
}

int64_t spawn_timer_next(void)
{
    return used ? heap[1]->at : -1;
}

void spawn_timers_run(int64_t now)
{
    while (used && heap[1]->at <= now) {
        spawn_timer *t = heap[1];

        spawn_timer_clear(t);
        t->fire(t);
    }
}
