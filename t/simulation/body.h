/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's process, which is none: it is called, in the world's process.
 */
#ifndef SIMULATION_BODY_H
#define SIMULATION_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIMULATION_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMULATION_SANITIZED
#endif
#endif

/* Descriptors of the world are from here on, those of a broker below. */
#define WORLD_FDS 200

/* Before all else in the world. */
void body_open(void);
/* When SQLite is set up, and no broker has lived: so each finds it. */
void body_keep_sqlite(void);
/* The broker does this. False: it has ended in it. */
bool body_does(void (*what)(void));
/* Its exit code; -1: it has aborted. */
int body_end(void);
/* All that it had is given back: descriptors, mappings, memory. */
void body_bury(void);
/* Is the broker at work, and not the world, which has the same functions? */
bool body_at_work(void);
/* The descriptor under a number that no broker has. */
int body_world_fd(int fd);

/* Its memory (memory.c). */
void memory_open(void);
void memory_bury(void);
/* Bytes that there are behind this pointer. */
size_t memory_room(const void *p);

/* How much of it there is, of what was taken and given back too. */
size_t memory_used(void);
/* From now on it takes nothing that it has given back before, and nothing
 * that lies below this place. */
void memory_only_new(size_t from);

/* All that a broker can write to. Under the sanitizer it is not known. */
#define BODY_PARTS 5
typedef struct {
    uint8_t *at;
    size_t size;
} body_part;
bool body_has_parts(void);
void body_parts(body_part *ret);
void memory_parts(body_part *ret); /* two of them */

/* Memory of the world, while the broker is at work. */
void *body_world_malloc(size_t size);
void body_world_free(void *p);

/* Around what broker and common code have in .data and .bss (Makefile). */
extern char body_data_begins[], body_data_ends[];
extern char body_bss_begins[], body_bss_ends[];

#endif
