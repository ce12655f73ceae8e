/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file moments.h
 * @brief Moments that lie far ahead: of a duration, which goes on by the clock
 * that counts from the boot, sleep included; or of the time of day, which can
 * be set.
 *
 * A heap for each clock, the earliest at the top, and no timer for each moment:
 * a million of them cost 32 bytes each, and a pointer. Of those that come at
 * the same time the one that was waited for first is the first. A moment lives
 * inside the object that it belongs to; forget it before the object is freed.
 * Runs in the broker. Acts on nothing: run/when.c does.
 */
#ifndef SPAWN_BROKER_BASE_MOMENTS_H
#define SPAWN_BROKER_BASE_MOMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t wall;    /* ms since 1970; 0: there is none */
    int64_t boot;    /* the same as spawn_boot_ms; 0: the time of day decides */
    uint32_t place;  /* in its heap, counted from 1; 0: it is not waited for */
    uint32_t number; /* among those that come at once; 0: none yet */
    uint8_t what;    /* for its owner */
} spawn_moment;

/** A moment in so many ms. It must not be waited for, here and in the next. */
void spawn_moment_in(spawn_moment *m, int64_t ms);
/** A moment of the time of day; 0: none. */
void spawn_moment_at(spawn_moment *m, int64_t wall);

static inline bool spawn_moment_is_set(const spawn_moment *m)
{
    return m->wall != 0;
}

/** Is it waited for? */
static inline bool spawn_moment_waits(const spawn_moment *m)
{
    return m->place != 0;
}

/** ms until then; 0 or less: it has come. */
int64_t spawn_moment_left(const spawn_moment *m);

/** The time of day at which it comes, as far as is known now. */
int64_t spawn_moment_time(const spawn_moment *m);

/** Wait for it, from now on or still. */
void spawn_moment_wait(spawn_moment *m);

/** Nothing happens when it is not waited for. */
void spawn_moment_forget(spawn_moment *m);

/** One that has come, and is not waited for any more; NULL: there is none. */
spawn_moment *spawn_moment_come(void);

/** ms until the next one comes; -1: there is none. */
int64_t spawn_moments_next(void);

/** The same without those that have come already, of which each is looked at.
 */
int64_t spawn_moments_after(void);

/** Does one of them depend on the time of day? */
bool spawn_moments_of_day(void);

#endif
