/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_id.h
 * @brief Job ids: UUIDv7 (RFC 9562), made by the caller so that a resend is
 * recognised.
 *
 * Runs in every process. Layout: 48 bits of Unix time in ms (big-endian),
 * version nibble 7, 12 random bits, variant 10, 62 random bits.
 */
#ifndef SPAWN_ID_H
#define SPAWN_ID_H

#include <stdbool.h>
#include <stdint.h>

#define SPAWN_ID_SIZE 16
/** Text form with its NUL: 8-4-4-4-12 hexadecimal digits. */
#define SPAWN_ID_TEXT 37

typedef struct {
    uint8_t bytes[SPAWN_ID_SIZE];
} spawn_id;

/**
 * A new id from the wall clock and the kernel's random source. Any thread.
 * @return 0, or a negative errno of getrandom(2); *ret untouched then.
 */
int spawn_id_make(spawn_id *ret);

/** Unix time in ms that the id carries. */
uint64_t spawn_id_time(const spawn_id *id);

/** True when version and variant are those of a UUIDv7. */
bool spawn_id_valid(const spawn_id *id);

bool spawn_id_equal(const spawn_id *a, const spawn_id *b);

/** Text form, lower case, into text[SPAWN_ID_TEXT]. Returns text. */
char *spawn_id_format(const spawn_id *id, char *text);

/**
 * Parse the text form, either case.
 * @return 0, or -EINVAL when it is not the text of a UUIDv7; *ret untouched.
 */
int spawn_id_parse(const char *text, spawn_id *ret);

#endif
