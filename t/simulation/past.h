/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store were, write by write.
 */
#ifndef SIMULATION_PAST_H
#define SIMULATION_PAST_H

#include <stdint.h>
#include <stdbool.h>

#include <sqlite3.h>

typedef struct {
    char path[128];
    bool there;
    uint8_t *data;
    sqlite3_int64 size;
} stored;

/* From now on, or not. */
void past_begin(bool kept);
/* All that is there now stays. */
void past_forget(void);
/* This file is about to be written to, from there on for so long; or to be
 * made, to be removed, or to have another size. */
void past_write(stored *s, sqlite3_int64 at, sqlite3_int64 length);
/* The files are as they were some time before. */
void past_comes_back(void);

#endif
