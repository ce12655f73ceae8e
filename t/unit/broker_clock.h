/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers whose clocks the test steps, or stops (t/probe/clock.c).
 */
#ifndef BROKER_CLOCK_H
#define BROKER_CLOCK_H

#include "t/unit/broker_caller.h"

#include <sys/mman.h>

#define CLOCK_BYTES (5 * sizeof(int64_t))

/* Seconds that are added: to the time of day, to the clocks that count from the
 * boot; the millisecond where the latter stand still, or 0; the readings until
 * the next step of the time of day, or 0, and that step. */
static int64_t *steps;
static char clock_file[80]; /* not in the store, which may be removed */

/* Nothing can be preloaded into a sanitized broker. */
static inline bool clocks_are_real(void)
{
    const char *build = getenv("SPAWN_BUILD");
    char sanitized[4096];

    (void)snprintf(sanitized, sizeof(sanitized), "%.4000s/perl-sanitized",
                   build ? build : "build");
    return access(sanitized, F_OK) == 0;
}

static inline int set_up_clock(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[4096];
    int fd;

    if (set_up(state))
        return -1;
    (void)snprintf(clock_file, sizeof(clock_file), "%s.clock", dir);
    fd = open(clock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, CLOCK_BYTES) < 0)
        return -1;
    steps = mmap(NULL, CLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (steps == MAP_FAILED)
        return -1;
    if (clocks_are_real())
        return 0;
    (void)setenv("TEST_CLOCK", clock_file, 1);
    (void)snprintf(text, sizeof(text), "%s/t/clock.so",
                   build ? build : "build");
    (void)setenv("LD_PRELOAD", text, 1); /* of the brokers */
    return 0;
}

static inline int tear_down_clock(void **state)
{
    int rv;

    (void)munmap(steps, CLOCK_BYTES);
    (void)unsetenv("LD_PRELOAD");
    rv = tear_down_all(state);
    (void)unlink(clock_file);
    return rv;
}

/* No timer comes until it goes on, or is moved. */
static inline void time_stands(void)
{
    steps[2] = spawn_mono_ms() + steps[1] * 1000;
}

static inline void time_moves(int ms)
{
    steps[2] += ms;
}

static inline void time_goes_on(void)
{
    steps[2] = 0;
}

/* So many seconds later, also without a caller; where the clock is the real
 * one, they pass. */
static inline void later_by(int seconds)
{
    if (clocks_are_real()) {
        (void)poll(NULL, 0, seconds * 1000);
        return;
    }
    broker_sleeps();
    steps[0] += seconds;
    steps[1] += seconds;
    broker_goes_on(); /* which ends its wait for events */
}

/* A caller is there: nothing comes of what the broker has heard, nor does in
 * the next second. */
static inline void stays_quiet(void)
{
    has_heard();
    later_by(1);
    has_heard();
    quiet_for(1);
}

/* ---- a store that takes nothing until it is told to ---- */

static int64_t store_takes; /* from this time of the broker on, s */

static inline void store_fails_a_while(const char *when)
{
    char text[128];

    store_takes = spawn_wall_ms() / 1000 + (clocks_are_real() ? 2 : 30);
    (void)snprintf(text, sizeof(text), "%s%s strftime('%%s', 'now') + 0 < %lld",
                   when, strstr(when, "WHEN") ? " AND" : " WHEN",
                   (long long)store_takes);
    store_fails(text);
}

static inline void make_store_that_fails_a_while(const char *when)
{
    make_store();
    store_fails_a_while(when);
}

static inline void store_takes_again(void)
{
    later_by((int)(store_takes - spawn_wall_ms() / 1000) + 1);
}

/* True, and said: there is nothing to be tested. */
static inline bool no_clocks(void)
{
    if (!clocks_are_real())
        return false;
    (void)puts("1..0 # SKIP nothing can be preloaded into a sanitized broker");
    return true;
}

#endif
