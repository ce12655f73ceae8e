/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk whose syncs fail or hang as a test says, of a scribe alone: preloaded
 * into its broker, and so into the scribe (LD_PRELOAD). In the file TEST_SYNC
 * stand five numbers of four bytes: how many syncs have begun; how many of the
 * next ones fail with EIO (-1: all); after how many more they hang (-1: never),
 * and 1 while one does; and whether they lie, and do nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static volatile int32_t *told;

/* The program's first argument says so. */
static int is_a_scribe(void)
{
    char line[200] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

    if (fd >= 0)
        (void)close(fd);
    return n > 0 && strcmp(line + strlen(line) + 1, "--scribe") == 0;
}

__attribute__((constructor)) static void find(void)
{
    const char *path = is_a_scribe() ? getenv("TEST_SYNC") : NULL;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, 5 * sizeof(*told), PROT_READ | PROT_WRITE,
                             MAP_SHARED, fd, 0);

    if (fd >= 0)
        (void)close(fd);
    told = at == MAP_FAILED ? NULL : at;
}

static int as_told(int fd, long call)
{
    if (!told)
        return (int)syscall(call, fd);
    told[0]++;
    if (told[2] > 0) {
        told[2]--;
    }
    else if (told[2] == 0) {
        told[3] = 1;
        while (told[2] == 0)
            (void)usleep(1000);
        told[3] = 0;
    }
    if (told[1]) {
        told[1] -= told[1] > 0;
        errno = EIO;
        return -1;
    }
    return told[4] ? 0 : (int)syscall(call, fd);
}

int fsync(int fd)
{
    return as_told(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return as_told(fd, SYS_fdatasync);
}
