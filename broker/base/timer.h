/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file timer.h
 * @brief Deadlines of the broker: a heap, the earliest at the top.
 *
 * A timer lives inside the object that it belongs to; the heap only points at
 * it. Clear the timer before the object is freed.
 */
#ifndef SPAWN_BROKER_BASE_TIMER_H
#define SPAWN_BROKER_BASE_TIMER_H

#include <stddef.h>
#include <stdint.h>

typedef struct spawn_timer spawn_timer;
struct spawn_timer {
    int64_t at;     /* spawn_mono_ms */
    uint32_t place; /* in the heap, counted from 1; 0: not set */
    void (*fire)(spawn_timer *t);
};

/** The object that a timer or watch is a member of. */
#define SPAWN_OWNER(p, type, member)                                           \
    ((type *)(void *)((char *)(p)-offsetof(type, member)))

/** Set or move a timer. It is cleared when it fires. */
void spawn_timer_set(spawn_timer *t, int64_t at);

/** Nothing happens when it is not set. */
void spawn_timer_clear(spawn_timer *t);

/** When the next timer fires, or -1 when none is set. */
int64_t spawn_timer_next(void);

/** Fire all that are due. They may set and clear timers, their own too. */
void spawn_timers_run(int64_t now);

#endif
