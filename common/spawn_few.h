/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_few.h
 * @brief Few log lines where there could be many: a number a minute for each
 * kind of message and each of those that cause it, then only a count.
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
    char about[SPAWN_FEW_ABOUT]; /* its cause: "uid 33", "queue mail" */
    int64_t since;               /* monotonic ms; 0: free */
    unsigned long said;
    unsigned long left_out;
} spawn_few_entry;

/** All entries of one kind of message. Zeros at first. */
typedef struct spawn_few spawn_few;
struct spawn_few {
    /* The last entry is for all others when there is no room for more, so that
     * somebody with many accounts gets no more lines with each of them. */
    spawn_few_entry entries[SPAWN_FEW_KEYS + 1];
    spawn_few *next; /* spawn_log.c */
    char number[8];  /* of the message, there */
    int level;       /* there */
};

/**
 * True when the line may be written (and is counted as written); else it is
 * left out and counted. Call spawn_few_over first, until it returns false.
 */
bool spawn_few_may(spawn_few *few, const char *about, unsigned long most,
                   int64_t now);

/**
 * True when the minute of an entry is over that left lines out: it is copied to
 * *ret and forgotten.
 * @param now INT64_MAX: all, whether their minute is over or not.
 */
bool spawn_few_over(spawn_few *few, int64_t now, spawn_few_entry *ret);

/** When the next minute ends in which lines were left out, on the monotonic
 * clock; 0: none. */
int64_t spawn_few_next(const spawn_few *few);

#endif
