/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_text.h
 * @brief Times and whole numbers as people write them.
 *
 * Runs in every process.
 */
#ifndef SPAWN_TEXT_H
#define SPAWN_TEXT_H

#include <stdint.h>

#define SPAWN_DURATION_MAX_MS (366ull * 86400 * 1000)

/* Each returns 0, or -EINVAL for text that is not of its form, -ERANGE for a
 * value out of bounds; *ret untouched then. */
int spawn_parse_duration(const char *text, uint64_t *ret_ms);
/** The same with another maximum: what httpd.conf's directives take, too. */
int spawn_parse_time_to(const char *text, uint64_t most_ms, uint64_t *ret_ms);
int spawn_parse_integer(const char *text, int64_t *ret);

#endif
