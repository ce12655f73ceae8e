/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_sweep.h for Linux: close_range, and another way without it (before
 * Linux 5.9, or forbidden). Runs in every process, and between fork and exec:
 * must use no heap, no stdio and no errno.
 */
#include <limits.h>

#include "common/spawn_numbers.h"
#include "common/spawn_raw.h"
#include "common/spawn_sweep.h"

/* The kernel's own default for the highest number that any process can have. */
#define NUMBERS_MAX 1048576

static void sweep_one(int fd, bool close_it)
{
    if (close_it)
        (void)spawn_raw_close(fd);
    else
        (void)spawn_raw_fcntl(fd, F_SETFD, FD_CLOEXEC);
}

typedef struct {
    int first, last;
    bool close_it;
} sweep_range;

static bool sweep_listed_one(int fd, int dir, void *arg)
{
    const sweep_range *r = arg;

    if (fd >= r->first && fd <= r->last && fd != dir)
        sweep_one(fd, r->close_it);
    return true;
}

/* Without /proc every number has to be tried: an open one may lie above the
 * limit of today. */
static void sweep(int first, int last, bool close_it)
{
    sweep_range range = {first, last, close_it};
    int fd;

    if (spawn_numbers("/proc/self/fd", sweep_listed_one, &range) == 0)
        return;
    for (fd = first; fd <= last && fd < NUMBERS_MAX; fd++)
        sweep_one(fd, close_it);
}

int spawn_os_close_between(int first, int last)
{
    if (first <= last && spawn_raw(SYS_close_range, first, last, 0, 0, 0) < 0)
        sweep(first, last, true);
    return 0;
}

int spawn_os_close_from(int first)
{
    return spawn_os_close_between(first, INT_MAX);
}

int spawn_os_cloexec_from(int first)
{
    const unsigned cloexec = 1u << 2; /* Linux 5.11 */

    if (spawn_raw(SYS_close_range, first, INT_MAX, cloexec, 0, 0) < 0)
        sweep(first, INT_MAX, false);
    return 0;
}
