/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memfds of the simulated kernel (kernel.h): each is a piece of the world's
 * memory, and to map one is to be told where that is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "t/simulation/body.h"
#include "t/simulation/kernel.h"

#define SHEET     ((size_t)48 << 20) /* bytes: so large one can be */
#define SHEETS    512
#define PAGE      4096
#define BY_HAND   65536 /* up to here it is not asked what was touched */
#define NO_GROWTH (F_SEAL_GROW | F_SEAL_SHRINK)

/* The names that --wrap gives. */
int __wrap_memfd_create(const char *name, unsigned flags);

typedef struct {
    thing base;
    size_t size, at;
    size_t most; /* that it ever was */
    int seals;
    uint8_t *data;
} memfd;

static uint8_t *sheets; /* all that there are, most without memory */
static memfd files[SHEETS];
static unsigned unused[SHEETS], unused_count, used_to;

static memfd *file_of(thing *t)
{
    return (memfd *)(void *)t;
}

static short ready(thing *t)
{
    (void)t;
    return POLLIN | POLLOUT;
}

static ssize_t read_at(thing *t, void *data, size_t room, size_t at)
{
    const memfd *f = file_of(t);
    size_t n = at < f->size ? f->size - at : 0;

    if (n > room)
        n = room;
    memcpy(data, f->data + at, n);
    return (ssize_t)n;
}

static ssize_t write_at(thing *t, const void *data, size_t length, size_t at)
{
    memfd *f = file_of(t);

    if (f->seals & F_SEAL_WRITE)
        return thing_error(EPERM);
    if (at + length > SHEET)
        return thing_error(EFBIG);
    if (at + length > f->size) {
        if (f->seals & F_SEAL_GROW)
            return thing_error(EPERM);
        f->size = at + length;
        if (f->size > f->most)
            f->most = f->size;
    }
    memcpy(f->data + at, data, length);
    return (ssize_t)length;
}

static ssize_t read_on(thing *t, void *data, size_t room)
{
    ssize_t n = read_at(t, data, room, file_of(t)->at);

    file_of(t)->at += (size_t)n;
    return n;
}

static ssize_t write_on(thing *t, const void *data, size_t length)
{
    ssize_t n = write_at(t, data, length, file_of(t)->at);

    if (n > 0)
        file_of(t)->at += (size_t)n;
    return n;
}

static int resize(thing *t, size_t size)
{
    memfd *f = file_of(t);

    if (size > SHEET)
        return thing_error(EFBIG);
    if (f->seals & NO_GROWTH && size != f->size)
        return thing_error(EPERM);
    if (size < f->size)
        memset(f->data + size, 0, f->size - size);
    f->size = size;
    if (f->size > f->most)
        f->most = f->size;
    return 0;
}

static size_t *place(thing *t)
{
    return &file_of(t)->at;
}

static void stat_it(thing *t, struct stat *ret)
{
    ret->st_size = (off_t)file_of(t)->size;
}

/* Pages that were never touched are zeros. */
static void zero_touched(uint8_t *data, size_t size)
{
    static unsigned char touched[SHEET / PAGE];
    size_t i, pages = (size + PAGE - 1) / PAGE;

    if (mincore(data, size, touched) < 0)
        thing_cannot("mincore fails");
    for (i = 0; i < pages; i++) {
        if (touched[i] & 1)
            memset(data + i * PAGE, 0, PAGE);
    }
}

/* It is all zeros again, for the next one. To give the memory back, and to get
 * it again page by page, would take longer. */
static void last_close(thing *t)
{
    memfd *f = file_of(t);

    if (f->most <= BY_HAND)
        memset(f->data, 0, f->most);
    else
        zero_touched(f->data, f->most);
    unused[unused_count++] = (unsigned)(f - files);
}

static const thing_kind of_memory = {.mode = S_IFREG | 0777,
                                     .ready = ready,
                                     .read = read_on,
                                     .write = write_on,
                                     .read_at = read_at,
                                     .write_at = write_at,
                                     .resize = resize,
                                     .place = place,
                                     .stat = stat_it,
                                     .last_close = last_close};

void memfds_open(void)
{
    sheets = mmap(NULL, SHEETS * SHEET, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sheets == MAP_FAILED)
        thing_cannot("no room for memfds");
}

static memfd *make(void)
{
    unsigned i;

    if (unused_count == 0 && used_to == SHEETS)
        thing_cannot("too many memfds");
    i = unused_count > 0 ? unused[--unused_count] : used_to++;
    files[i] = (memfd){.base = {.kind = &of_memory, .uses = 1},
                       .data = sheets + i * SHEET};
    return &files[i];
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    (void)name;
    (void)flags;
    return thing_number(&make()->base);
}

int memfd_control(thing *t, int what, int with)
{
    memfd *f = file_of(t);

    if (t->kind != &of_memory)
        return thing_error(EINVAL);
    if (what == F_GET_SEALS)
        return f->seals;
    if (f->seals & F_SEAL_SEAL)
        return thing_error(EPERM);
    f->seals |= with;
    return 0;
}

/* ---- mappings ---- */

void *memfd_map(thing *t, size_t length)
{
    if (t->kind != &of_memory || length > SHEET)
        return NULL;
    thing_use(t);
    return file_of(t)->data;
}

bool memfd_unmap(void *at)
{
    uint8_t *p = at;

    if (!sheets || p < sheets || p >= sheets + SHEETS * SHEET)
        return false;
    thing_leave(&files[(size_t)(p - sheets) / SHEET].base);
    return true;
}

void memfd_copy(thing *t, void *to, size_t length)
{
    if (t->kind != &of_memory)
        thing_cannot("a mapping at a fixed place of what is no memfd");
    memcpy(to, file_of(t)->data, length);
}

void *memfd_nameless(size_t length)
{
    memfd *f;

    if (!sheets || length > SHEET)
        return NULL;
    f = make();
    f->size = f->most = length;
    return f->data;
}
