/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker whose clock the test steps (t/probe/clock.c is preloaded into it),
 * so that what comes after seconds or minutes comes at once.
 */
#ifndef BROKER_STEPPED_H
#define BROKER_STEPPED_H

#include "t/unit/broker_calls.h"

#include <sys/mman.h>

static int64_t *steps; /* s: of the time of day, and since the boot */
static char clock_file[80];

static inline int set_up_stepped(void **state)
{
    const char *build = getenv("SPAWN_BUILD");
    char text[4096];
    int fd;

    if (set_up(state))
        return -1;
    (void)snprintf(clock_file, sizeof(clock_file), "%s.clock", dir);
    fd = open(clock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 16) < 0)
        return -1;
    steps = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (steps == MAP_FAILED)
        return -1;
    (void)setenv("TEST_CLOCK", clock_file, 1);
    (void)snprintf(text, sizeof(text), "%s/t/clock.so",
                   build ? build : "build");
    (void)setenv("LD_PRELOAD", text, 1);
    return 0;
}

static inline int tear_down_stepped(void **state)
{
    int rv;

    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("TEST_CLOCK");
    rv = tear_down_all(state);
    (void)munmap(steps, 16);
    (void)unlink(clock_file);
    return rv;
}

/* What is due by then has been done. */
static inline void time_passes(int seconds)
{
    is_there(); /* what was said before is not said after it */
    steps[0] += seconds;
    steps[1] += seconds;
    is_there();
}

/* Nothing can be preloaded into a sanitized broker: then the test is over. */
static inline bool cannot_step(void)
{
    const char *build = getenv("SPAWN_BUILD");
    char sanitized[4096];

    (void)snprintf(sanitized, sizeof(sanitized), "%s/perl-sanitized",
                   build ? build : "build");
    if (access(sanitized, F_OK) != 0)
        return false;
    (void)puts("1..0 # SKIP nothing can be preloaded into a sanitized broker");
    return true;
}

#endif
