/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file document.h
 * @brief Arguments of a Perl function that the broker itself calls: one hash,
 * as a Sereal document, which templates read as any caller's.
 *
 * Text is bytes for Perl, as in the status of a job.
 */
#ifndef SPAWN_BROKER_BASE_DOCUMENT_H
#define SPAWN_BROKER_BASE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A hash has at most so many pairs, and a key so many bytes. */
#define SPAWN_DOCUMENT_PAIRS 100
#define SPAWN_DOCUMENT_KEY   31

typedef struct {
    uint8_t *data;
    size_t length;
    size_t room;
    size_t pairs_at; /* where their count stands */
    bool full;       /* something did not fit */
} spawn_document;

/** Begin in data[room]. */
void spawn_document_begin(spawn_document *d, uint8_t *data, size_t room);
/** A pair of the hash. Text is cut to most bytes. */
void spawn_document_text(spawn_document *d, const char *key, const char *text,
                         size_t most);
void spawn_document_number(spawn_document *d, const char *key, uint64_t value);
/** A list of so many texts, which follow. */
void spawn_document_list(spawn_document *d, const char *key, uint32_t count);
void spawn_document_item(spawn_document *d, const char *text);

#endif
