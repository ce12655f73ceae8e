/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker's memory, in the place of malloc(3): it is taken from one region,
 * and all of it is given back at once when the broker ends. The world's is the
 * C library's, as is the broker's under the address sanitizer, whose errors are
 * better than speed.
 */
#include "t/simulation/body.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION     ((size_t)1 << 30)
#define HUGE_PIECE ((size_t)1 << 28)
#define FINE       16   /* bytes: classes of small pieces */
#define SMALL      2048 /* up to here */
#define CLASSES    (SMALL / FINE + 1 + 20)

/* The names that --wrap gives. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);

typedef enum {
    OF_WORLD = 0x574f524c,
    OF_BROKER = 0x42524f4b,
    UNUSED = 0x46524545
} owner;

/* Before each piece. */
typedef struct piece {
    uint32_t owner, class; /* of a broker's */
    union {
        size_t room;
        struct piece *next; /* of one that is unused */
    };
} piece;

_Static_assert(sizeof(piece) == 16, "what follows is aligned");

static void wrong(const char *what)
{
    (void)printf("the memory of the broker: %s\n", what);
    abort();
}

#ifdef SIMULATION_SANITIZED

/* All that a broker takes is in a ring. */
typedef struct link {
    struct link *next, *before;
} link;

static link ring = {&ring, &ring};

void memory_open(void)
{
}

static piece *take(size_t size)
{
    link *l = __real_malloc(sizeof(*l) + sizeof(piece) + size);

    if (!l)
        return NULL;
    l->next = &ring;
    l->before = ring.before;
    ring.before->next = l;
    ring.before = l;
    ((piece *)(void *)(l + 1))->room = size;
    return (void *)(l + 1);
}

static void give_back(piece *p)
{
    link *l = (link *)(void *)p - 1;

    l->next->before = l->before;
    l->before->next = l->next;
    __real_free(l);
}

void memory_bury(void)
{
    while (ring.next != &ring)
        give_back((piece *)(void *)(ring.next + 1));
}

size_t memory_used(void)
{
    return 0;
}

void memory_only_new(size_t from)
{
    (void)from;
}

void memory_parts(body_part *ret)
{
    ret[0] = ret[1] = (body_part){NULL, 0};
}

#else

static uint8_t *region;
static struct {
    size_t used;
    piece *unused[CLASSES]; /* which were taken before */
} heap;

void memory_open(void)
{
    region = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        wrong("none");
}

/* Above small ones each class has twice the room of that below. */
static unsigned class_of(size_t size, size_t *ret_room)
{
    unsigned class = SMALL / FINE;
    size_t room = SMALL;

    if (size <= SMALL) {
        class = (unsigned)((size + FINE - 1) / FINE);
        *ret_room = (size_t) class * FINE;
        return class;
    }
    while (room < size) {
        room *= 2;
        class ++;
    }
    *ret_room = room;
    return class;
}

static piece *take(size_t size)
{
    size_t room;
    unsigned class = class_of(size, &room);
    piece *p = heap.unused[class];

    if (p) {
        if (p->owner != UNUSED)
            wrong("written to after free");
        heap.unused[class] = p->next;
    }
    else {
        if (heap.used + sizeof(*p) + room > REGION)
            return NULL;
        p = (piece *)(void *)(region + heap.used);
        heap.used += sizeof(*p) + room;
        p->class = class;
    }
    p->room = room;
    return p;
}

static void give_back(piece *p)
{
    p->owner = UNUSED;
    p->next = heap.unused[p->class];
    heap.unused[p->class] = p;
}

void memory_bury(void)
{
    memset(&heap, 0, sizeof(heap));
}

size_t memory_used(void)
{
    return heap.used;
}

void memory_only_new(size_t from)
{
    if (heap.used < from)
        heap.used = from;
    memset(heap.unused, 0, sizeof(heap.unused));
}

void memory_parts(body_part *ret)
{
    ret[0] = (body_part){region, heap.used};
    ret[1] = (body_part){(uint8_t *)&heap, sizeof(heap)};
}

#endif

void *__wrap_malloc(size_t size)
{
    bool broker = body_at_work();
    piece *p;

    if (size > HUGE_PIECE)
        return NULL;
    p = broker ? take(size) : __real_malloc(sizeof(*p) + size);
    if (!p)
        return NULL;
    p->owner = broker ? OF_BROKER : OF_WORLD;
    if (!broker)
        p->room = size;
    return p + 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
    size_t all;
    void *p;

    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    p = __wrap_malloc(all);
    if (p)
        memset(p, 0, all);
    return p;
}

void __wrap_free(void *of)
{
    piece *p = of;

    if (!p)
        return;
    p--;
    if (p->owner == OF_BROKER)
        give_back(p);
    else if (p->owner != OF_WORLD)
        wrong("freed twice, or never taken");
    else if (body_at_work())
        wrong("freed, and the world's"); /* the next life would miss it */
    else
        __real_free(p);
}

void *__wrap_realloc(void *of, size_t size)
{
    const piece *p = of;
    void *moved;

    if (!p)
        return __wrap_malloc(size);
    p--;
#ifndef SIMULATION_SANITIZED
    if (size <= p->room && p->owner == OF_BROKER)
        return of;
#endif
    moved = __wrap_malloc(size);
    if (moved) {
        memcpy(moved, of, size < p->room ? size : p->room);
        __wrap_free(of);
    }
    return moved;
}

void *body_world_malloc(size_t size)
{
    return __real_malloc(size);
}

void body_world_free(void *p)
{
    __real_free(p);
}

size_t memory_room(const void *p)
{
    return ((const piece *)p - 1)->room;
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *p = __wrap_malloc(size);

    return p ? memcpy(p, text, size) : NULL;
}
