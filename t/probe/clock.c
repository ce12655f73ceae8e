/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that a test steps: preloaded into a program (LD_PRELOAD), it adds to
 * what clock_gettime and gettimeofday (SQLite) say the seconds that stand in
 * the file TEST_CLOCK: two numbers of eight bytes, for the time of day and for
 * the clocks that count from the boot. A third one that is not 0 is the
 * millisecond at which the latter stand still. The file is mapped: a step shows
 * at once.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

static const volatile int64_t *steps;

__attribute__((constructor)) static void find_steps(void)
{
    const char *path = getenv("TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, 3 * sizeof(*steps), PROT_READ, MAP_SHARED, fd, 0);

    if (map != MAP_FAILED)
        steps = map;
    if (fd >= 0)
        (void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rv = (int)syscall(SYS_clock_gettime, clock, ret);

    if (rv == 0 && steps && clock == CLOCK_REALTIME)
        ret->tv_sec += steps[0];
    else if (rv == 0 && steps
             && (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME))
        ret->tv_sec += steps[1];
    else
        return rv;
    if (clock != CLOCK_REALTIME && steps[2]) {
        ret->tv_sec = steps[2] / 1000;
        ret->tv_nsec = steps[2] % 1000 * 1000000;
    }
    return rv;
}

int gettimeofday(struct timeval *ret, void *zone)
{
    int rv = (int)syscall(SYS_gettimeofday, ret, zone);

    if (rv == 0 && steps)
        ret->tv_sec += steps[0];
    return rv;
}
