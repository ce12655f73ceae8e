/* SPDX-License-Identifier: Apache-2.0 */
/* The code that freezes a template's memory, with system calls that fail as a
 * test wants, and a look at what is frozen. Each test is a process of its own.
 */
#ifndef TEMPLATE_FREEZING_H
#define TEMPLATE_FREEZING_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/spawn_areas.h"
#include "common/spawn_os.h"
#include "common/spawn_raw.h"

/* Answers to freeze.c in the place of the real ones. */
static int memfd_error;
static const char *other_symbol; /* that is found elsewhere, or at all */
static long write_error_after;   /* bytes; 0: never */
static int map_errors;           /* so many fail, */
static char *errors_at;          /* of what is mapped over these bytes, */
static size_t errors_size;
static bool holes;            /* and they leave a hole */
static char *interrupt_at;    /* a signal comes before this is mapped over */
static int unknown_seals;     /* to this kernel */
static int file_seals;        /* that the file has */
static bool hidden;           /* the state of pages */
static const char *said_huge; /* the kernel's word on it; NULL: as it is */
static size_t advised;        /* bytes that were to be huge in one call */
static int
    looks_too_many; /* at the threads: one that has been joined is there */

static int memfd(const char *name)
{
    return memfd_error ? memfd_error : spawn_os_memfd(name);
}

static int add_seals(int fd, int what, int which)
{
    int rv;

    if (which & unknown_seals) {
        errno = EINVAL;
        return -1;
    }
    rv = fcntl(fd, what, which);
    file_seals = fcntl(fd, F_GET_SEALS);
    return rv;
}

static int play_stat(const char *path, struct stat *ret)
{
    int rv = stat(path, ret);

    if (looks_too_many > 0) {
        looks_too_many--;
        ret->st_nlink++;
    }
    return rv;
}

static int play_open(const char *path, int flags)
{
    int fd;

    if (hidden && strstr(path, "pagemap")) {
        errno = EACCES;
        return -1;
    }
    if (!said_huge || !strstr(path, "hpage_pmd_size"))
        return open(path, flags);
    fd = spawn_os_memfd("size");
    if (pwrite(fd, said_huge, strlen(said_huge), 0) < 0)
        _exit(99);
    return fd;
}

static int play_madvise(void *at, size_t size, int what)
{
    advised = (uintptr_t)at % size == 0 ? size : 1;
    return madvise(at, size, what);
}

static void *symbol(void *handle, const char *name);
static long write_at(int fd, const void *data, size_t length, off_t at);
static int map_over_it(void *there, size_t size, int rights, int fd, off_t at);

#define spawn_os_memfd     memfd
#define dlsym              symbol
#define fcntl              add_seals
#define stat(path, ret)    play_stat(path, ret)
#define open(path, flags)  play_open(path, flags)
#define madvise            play_madvise
#define spawn_raw_pwrite   write_at
#define spawn_raw_map_over map_over_it
#include "perl/xs/template/freeze.c"
#include "perl/xs/template/mallocs.c"
#undef spawn_os_memfd
#undef dlsym
#undef fcntl
#undef stat
#undef open
#undef madvise
#undef spawn_raw_pwrite
#undef spawn_raw_map_over

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "t/unit/corner.h"

#define MB ((size_t)1 << 20)

static void *symbol(void *handle, const char *name)
{
    if (other_symbol && strcmp(name, other_symbol) == 0)
        return (void *)(uintptr_t)&spawn_template_frozen;
    return dlsym(handle, name);
}

static long write_at(int fd, const void *data, size_t length, off_t at)
{
    if (write_error_after && at >= write_error_after)
        return -ENOSPC;
    return spawn_raw_pwrite(fd, data, length, at);
}

/* After a hole it may write nothing but its stack: errno may have been there.
 */
static int map_over_it(void *there, size_t size, int rights, int fd, off_t at)
{
    char *from = there;

    if (from == interrupt_at)
        (void)raise(SIGUSR1);
    if (map_errors > 0 && from < errors_at + errors_size
        && from + size > errors_at) {
        map_errors--;
        if (holes)
            (void)spawn_raw(SYS_munmap, (long)from, (long)size, 0, 0, 0);
        return -ENOMEM;
    }
    return spawn_raw_map_over(there, size, rights, fd, at);
}

/* ---- helpers ---- */

static char why[400];

static void freeze_all(void)
{
    spawn_template_settle_memory(SPAWN_MEMORY_FROZEN, why, sizeof(why));
}

#define SO(condition)                                                          \
    do {                                                                       \
        if (!(condition)) {                                                    \
            dprintf(2, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__,         \
                    #condition, why);                                          \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* The end of a process that does this. */
static int end_of(void (*body)(void))
{
    int status;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static char *map(size_t size, int rights, int how)
{
    char *p = mmap(NULL, size, rights, how | MAP_ANONYMOUS, -1, 0);

    SO(p != MAP_FAILED);
    return p;
}

static char *touched(size_t size)
{
    char *p = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    memset(p, 'x', size);
    return p;
}

/* The area at an address. */
typedef struct {
    uintptr_t at;
    spawn_area area;
    bool found;
} search;

static bool compare(const spawn_area *a, void *arg)
{
    search *s = arg;

    if (s->at < a->from || s->at >= a->to)
        return true;
    s->area = *a;
    s->found = true;
    return false;
}

static spawn_area area_of(const void *at)
{
    search s = {.at = (uintptr_t)at};

    SO(spawn_areas(0, compare, &s) == 0);
    SO(s.found);
    return s.area;
}

static bool is_frozen(const void *at)
{
    spawn_area a = area_of(at);

    return spawn_area_frozen(&a);
}

/* The kernel writes to this, next to errno, when it moves us to another CPU. */
static void end_rseq(void)
{
#if defined(SYS_rseq) && (defined(__x86_64__) || defined(__aarch64__))
    const ptrdiff_t *at = dlsym(RTLD_DEFAULT, "__rseq_offset");
    const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");
    const long flag_unregister = 1;
#if defined(__x86_64__)
    const long mark = 0x53053053;
    char *thread;

    __asm__("mov %%fs:0, %0" : "=r"(thread));
#else
    const long mark = (long)0xd428bc00;
    char *thread = __builtin_thread_pointer();
#endif
    if (at && size && *size)
        SO(spawn_raw(SYS_rseq, (long)(thread + *at), *size < 32 ? 32 : *size,
                     flag_unregister, mark, 0)
           == 0);
#endif
}

#endif
