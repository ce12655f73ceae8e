/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_escape.h
 * @brief Text of strangers, made safe for a line of a log.
 */
#ifndef SPAWN_ESCAPE_H
#define SPAWN_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Escape as httpd does in its error log: \n, \t, \\ and so on, \xNN for other
 * control characters. Valid UTF-8 stays as it is, but for characters that a
 * terminal or a reader of lines obeys: C1 (U+0080 to U+009F), the separators of
 * lines and paragraphs, and what turns the direction of writing. Any process;
 * allocates nothing.
 *
 * @param to not ended by a NUL.
 * @param ret_length how many bytes of it are used.
 * @return how many bytes of from were taken: all, or as many whole characters
 * as had room.
 */
size_t spawn_escape(const char *from, size_t length, char *to, size_t room,
                    size_t *ret_length);

/**
 * Does a terminal or a reader of lines obey this character? Of those beyond
 * ASCII: C1, the separators, and what turns the direction of writing. Control
 * characters of ASCII, and all else below U+00A0, are counted among them.
 */
bool spawn_escape_obeyed(uint32_t c);

/**
 * The character at the beginning of some bytes, at least one, and how many of
 * them it has; 0 and one byte when it is no valid UTF-8.
 */
uint32_t spawn_escape_decode(const char *from, size_t length,
                             size_t *ret_bytes);

/**
 * How many of these bytes can be taken without cutting the last character:
 * length, or up to 3 less.
 */
size_t spawn_escape_whole(const char *from, size_t length);

#endif
