/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker without a process. It is called in the world's, since a fork for
 * each life and two switches for each turn would cost more than the broker
 * does. So what the kernel does when a process ends is done here: its
 * descriptors are closed, its mappings and its memory given back, and the
 * variables of its code are as they were before the first life. To end is a
 * jump out of it.
 */
#include "t/simulation/body.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/spawn_os.h"
#include "broker/process/link.h"
#include "t/simulation/files.h"
#include "t/simulation/kernel.h"

#define MAPS_MAX 64

/* The names that --wrap gives. */
void *__real_mmap(void *at, size_t length, int prot, int flags, int fd,
                  off_t from);
void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd,
                  off_t from);
int __real_munmap(void *at, size_t length);
int __wrap_munmap(void *at, size_t length);
void __wrap__exit(int code) __attribute__((noreturn));
void __wrap_abort(void) __attribute__((noreturn));

static bool at_work;
static jmp_buf end;
static int end_code;

bool body_at_work(void)
{
    return at_work;
}

/* ---- mappings ---- */

static struct {
    void *at;
    size_t length;
} maps[MAPS_MAX];
static unsigned maps_used;

static void *note_map(void *map, size_t length)
{
    if (!at_work || map == MAP_FAILED)
        return map;
    if (maps_used == MAPS_MAX)
        thing_cannot("too many mappings");
    maps[maps_used].at = map;
    maps[maps_used++].length = length;
    return map;
}

/* Of a memfd: a pointer to it, or its contents as they are. */
static void *map_of(thing *t, void *at, size_t length, int flags)
{
    void *map;

    if (flags & MAP_FIXED) {
        memfd_copy(t, at, length);
        return at;
    }
    map = memfd_map(t, length);
    return note_map(map ? map : MAP_FAILED, length);
}

void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd,
                  off_t from)
{
    thing *t = fd < 0 ? NULL : thing_of(fd);
    void *map = NULL;

    if (t)
        return map_of(t, at, length, flags);
    if (flags & MAP_ANONYMOUS && !(flags & MAP_FIXED))
        map = memfd_nameless(length);
    if (!map)
        map = __real_mmap(at, length, prot, flags, fd, from);
    return flags & MAP_FIXED ? map : note_map(map, length);
}

static int unmap(void *at, size_t length)
{
    return memfd_unmap(at) ? 0 : __real_munmap(at, length);
}

/* The world's are in no list; a memfd may be mapped by both. */
int __wrap_munmap(void *at, size_t length)
{
    unsigned i;

    for (i = 0; at_work && i < maps_used; i++) {
        if (maps[i].at == at) {
            maps[i] = maps[--maps_used];
            break;
        }
    }
    return unmap(at, length);
}

static void unmap_all(void)
{
    while (maps_used > 0) {
        maps_used--;
        (void)unmap(maps[maps_used].at, maps[maps_used].length);
    }
}

/* ---- descriptors ---- */

int body_world_fd(int fd)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, WORLD_FDS);

    if (fd >= 0)
        (void)close(fd);
    return high;
}

/* Its link has a number of its own, which must not come to be another's. */
static void keep_number(void)
{
    int none = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (none != SPAWN_LINK_FD) {
        (void)dup3(none, SPAWN_LINK_FD, O_CLOEXEC);
        (void)close(none);
    }
}

static void close_all(void)
{
    directories_close();
    things_close();
    (void)close_range(SPAWN_LINK_FD + 1, WORLD_FDS - 1, 0);
}

/* ---- variables ---- */

static uint8_t *data_image;
static uint8_t *sqlite_variables, *sqlite_image;
static size_t sqlite_size;

/* A loop, since what the sanitizer has put between variables is copied, too. */
static void copy(void *to, const void *from, size_t size)
    __attribute__((no_sanitize("address")));

static void copy(void *to, const void *from, size_t size)
{
#ifdef SIMULATION_SANITIZED
    volatile uint8_t *t = to;
    const volatile uint8_t *f = from;
    size_t i;

    for (i = 0; i < size; i++)
        t[i] = f[i];
#else
    memcpy(to, from, size);
#endif
}

/* Most pages were not written to. */
static void make_zero(char *from, const char *to)
{
    static const char zeros[4096];

    for (; from < to; from += sizeof(zeros)) {
        size_t left = (size_t)(to - from);

        if (left > sizeof(zeros))
            left = sizeof(zeros);
#ifdef SIMULATION_SANITIZED
        copy(from, zeros, left);
#else
        if (memcmp(from, zeros, left) != 0)
            memset(from, 0, left);
#endif
    }
}

static int look_for_sqlite(struct dl_phdr_info *info, size_t size, void *of)
{
    uintptr_t from = 0, to = 0, fixed = 0;
    int i;

    (void)size;
    (void)of;
    if (!strstr(info->dlpi_name, "libsqlite3"))
        return 0;
    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_W)) {
            from = info->dlpi_addr + p->p_vaddr;
            to = from + p->p_memsz;
        }
        if (p->p_type == PT_GNU_RELRO)
            fixed = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    if (fixed > from)
        from = fixed;
    sqlite_variables = (uint8_t *)from;
    sqlite_size = to - from;
    return 1;
}

void body_keep_sqlite(void)
{
    if (!dl_iterate_phdr(look_for_sqlite, NULL)
        || !(sqlite_image = malloc(sqlite_size))) {
        (void)fputs("simulation: SQLite has to be a shared library\n", stderr);
        exit(2);
    }
    copy(sqlite_image, sqlite_variables, sqlite_size);
}

void body_open(void)
{
    size_t size = (size_t)(body_data_ends - body_data_begins);

    if (&body_data_ends[0] <= &body_data_begins[0]
        || &body_bss_ends[0] <= &body_bss_begins[0]
        || !(data_image = malloc(size))) {
        (void)fputs("simulation: the linker has moved variables\n", stderr);
        exit(2);
    }
    copy(data_image, body_data_begins, size);
    memory_open();
    memfds_open();
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30); /* the world's is kept, too */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    keep_number();
}

static void variables_as_before(void)
{
    copy(body_data_begins, data_image,
         (size_t)(body_data_ends - body_data_begins));
    make_zero(body_bss_begins, body_bss_ends);
    copy(sqlite_variables, sqlite_image, sqlite_size);
}

bool body_has_parts(void)
{
#ifdef SIMULATION_SANITIZED
    return false;
#else
    return true;
#endif
}

void body_parts(body_part *ret)
{
    ret[0] = (body_part){(uint8_t *)body_data_begins,
                         (size_t)(body_data_ends - body_data_begins)};
    ret[1] = (body_part){(uint8_t *)body_bss_begins,
                         (size_t)(body_bss_ends - body_bss_begins)};
    ret[2] = (body_part){sqlite_variables, sqlite_size};
    memory_parts(&ret[3]);
}

/* ---- its life ---- */

void __wrap__exit(int code)
{
    if (!at_work)
        exit(code);
    end_code = code;
    longjmp(end, 1);
}

void __wrap_abort(void)
{
    __wrap__exit(-1);
}

bool body_does(void (*what)(void))
{
    bool lives;

    at_work = true;
    lives = setjmp(end) == 0;
    if (lives)
        what();
    at_work = false;
    return lives;
}

int body_end(void)
{
    return end_code;
}

void body_bury(void)
{
    close_all();
    unmap_all();
    memory_bury();
    variables_as_before();
}
