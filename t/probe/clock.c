/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that a test steps: preloaded into a program (LD_PRELOAD), it adds to
 * what clock_gettime and gettimeofday (SQLite) say the seconds that stand in
 * the file TEST_CLOCK (without that variable: the file `clock` in the directory
 * of the program, of one that is linked with this): two numbers of eight bytes,
 * for the time of day and for the clocks that count from the boot. A third one
 * that is not 0 is the millisecond at which the latter stand still. A fourth
 * one that is not 0 counts down with each reading of the time of day by
 * clock_gettime; where it comes to 0, the fifth is added to the first. The file
 * is mapped: a step shows at once. A process that may only read it sees all
 * steps, and counts nothing down.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

static volatile int64_t *steps;
static int counts_down; /* it may write there */

__attribute__((constructor)) static void find_steps(void)
{
    char beside[4096] = "";
    const char *path = getenv("TEST_CLOCK");

    if (!path) {
        ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - 8);
        char *slash = n > 0 ? strrchr(beside, '/') : NULL;

        if (slash)
            (void)memcpy(slash + 1, "clock", sizeof("clock"));
        path = slash ? beside : NULL;
    }
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    counts_down = fd >= 0;
    if (path && fd < 0) /* of another account */
        fd = open(path, O_RDONLY | O_CLOEXEC);

    void *map = fd < 0 ? MAP_FAILED
                       : mmap(NULL, 5 * sizeof(*steps),
                              counts_down ? PROT_READ | PROT_WRITE : PROT_READ,
                              MAP_SHARED, fd, 0);

    if (map != MAP_FAILED)
        steps = map;
    if (fd >= 0)
        (void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rv = (int)syscall(SYS_clock_gettime, clock, ret);

    if (rv == 0 && steps && counts_down && clock == CLOCK_REALTIME && steps[3]
        && --steps[3] == 0)
        steps[0] += steps[4];
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
