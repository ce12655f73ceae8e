/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file json.h
 * @brief Writes JSON into an answer of the status page: UTF-8, on one line.
 *
 * Runs in httpd children, in the thread of the request. A key of NULL is for
 * what stands in an array.
 */
#ifndef SPAWN_STATUS_JSON_H
#define SPAWN_STATUS_JSON_H

#include "module/status/page.h"

/** bracket: '{' or '['; and the one that closes it. */
void spawn_json_open(spawn_page *page, const char *key, char bracket);
void spawn_json_close(spawn_page *page, char bracket);

/** Text of any bytes: what is not UTF-8 becomes U+FFFD. @return false then. */
bool spawn_json_bytes(spawn_page *page, const char *key, const void *data,
                      size_t length);
void spawn_json_text(spawn_page *page, const char *key, const char *text);
void spawn_json_base64(spawn_page *page, const char *key, const void *data,
                       size_t length);
void spawn_json_number(spawn_page *page, const char *key, uint64_t number);
void spawn_json_signed(spawn_page *page, const char *key, int64_t number);
/** A value that is JSON already: a number, true, false, null. */
void spawn_json_word(spawn_page *page, const char *key, const char *word);
/** A time as text and, as key_ms, as a number. */
void spawn_json_time(spawn_page *page, const char *key, uint64_t ms);

#endif
