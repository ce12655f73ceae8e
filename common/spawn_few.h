/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_few.h
 * @brief Few lines of what could be many: so many a minute of each kind of
 * message and each who causes it, then only a count.
 *
 * Any process. Memory is a fixed struct for each kind (static); allocates
 * nothing, never blocks, has no lock.
 */
#ifndef SPAWN_FEW_H
#define SPAWN_FEW_H

#include <stdbool.h>
#include <stdint.h>

#define SPAWN_FEW_MS    60000
#define SPAWN_FEW_KEYS  12
#define SPAWN_FEW_ABOUT 104

typedef struct {
    char about[SPAWN_FEW_ABOUT]; /* who causes it: "uid 33", "queue mail" */
    int64_t since;               /* monotonic ms; 0: free */
    unsigned long said;
    unsigned long left_out;
} spawn_few_entry;

/** All of one kind of message. Zeros at first. */
typedef struct spawn_few spawn_few;
struct spawn_few {
    /* The last one is all others, when more cause it than there is room for:
     * somebody with many accounts gets no more lines with each of them. */
    spawn_few_entry entries[SPAWN_FEW_KEYS + 1];
    spawn_few *next; /* spawn_log.c */
    char number[8];  /* of the message, there */
    int level;       /* there */
};

/**
 * May it be said (and count it as said), or is it left out (and counted)?
 * First call spawn_few_over until it returns false.
 */
bool spawn_few_may(spawn_few *few, const char *about, unsigned long most,
                   int64_t now);

/**
 * Has the minute of one come to its end that left something out? It is told
 * in *ret and forgotten.
 * @param now INT64_MAX: all, whether their minute is over or not.
 */
bool spawn_few_over(spawn_few *few, int64_t now, spawn_few_entry *ret);

/** When the next minute ends in which something was left out, on the monotonic
 * clock; 0: none. */
int64_t spawn_few_next(const spawn_few *few);

#endif
