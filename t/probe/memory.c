/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out when a test says so: preloaded into a program
 * (LD_PRELOAD). In the file TEST_MEMORY stand three numbers of four bytes: how
 * many pieces were asked for; the number of the one that is not given (0: all
 * are); and how many are not given from there on, which counts down. The file
 * is mapped: what is written shows at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

/* The C library's own, which ours hide. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static volatile int32_t *told;

__attribute__((constructor)) static void find(void)
{
    const char *path = getenv("TEST_MEMORY");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, 3 * sizeof(*told), PROT_READ | PROT_WRITE,
                             MAP_SHARED, fd, 0);

    if (fd >= 0)
        (void)close(fd);
    told = at == MAP_FAILED ? NULL : at;
}

static int is_given(void)
{
    if (!told)
        return 1;
    told[0]++;
    if (!told[1] || told[0] < told[1] || told[2] == 0)
        return 1;
    told[2]--;
    errno = ENOMEM;
    return 0;
}

void *malloc(size_t size)
{
    return is_given() ? __libc_malloc(size) : NULL;
}

void *calloc(size_t count, size_t size)
{
    return is_given() ? __libc_calloc(count, size) : NULL;
}

void *realloc(void *old, size_t size)
{
    return is_given() ? __libc_realloc(old, size) : NULL;
}
