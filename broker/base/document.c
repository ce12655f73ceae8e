/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Sereal document of version 3 with a list that has one hash. Runs in the
 * broker. Must not write behind its room: what does not fit sets `full`.
 */
#include "broker/base/document.h"

#include <string.h>

/* Tags of Sereal's format. */
#define VARINT       0x20
#define BINARY       0x26
#define REFN         0x28
#define HASH         0x2a
#define ARRAY        0x2b
#define SHORT_BINARY 0x60 /* and the length */
#define SMALL        16   /* numbers below are a tag of their own */

static void put(spawn_document *d, const void *data, size_t length)
{
    if (length > d->room - d->length) {
        d->full = true;
        return;
    }
    memcpy(d->data + d->length, data, length);
    d->length += length;
}

static void put_byte(spawn_document *d, unsigned value)
{
    const uint8_t byte = (uint8_t)value;

    put(d, &byte, 1);
}

static void put_varint(spawn_document *d, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put_byte(d, 0x80 | (value & 0x7f));
    put_byte(d, (unsigned)value);
}

static void put_text(spawn_document *d, const char *text, size_t length)
{
    put_byte(d, BINARY);
    put_varint(d, length);
    put(d, text, length);
}

static void put_key(spawn_document *d, const char *key)
{
    put_byte(d, SHORT_BINARY | (unsigned)strlen(key));
    put(d, key, strlen(key));
    if (!d->full)
        d->data[d->pairs_at]++;
}

void spawn_document_begin(spawn_document *d, uint8_t *data, size_t room)
{
    static const uint8_t head[] = {'=',  0xf3,  'r', 'l',  3, /* the version */
                                   0, /* no header behind it */
                                   REFN, ARRAY, 1,   REFN, HASH};

    *d = (spawn_document){.data = data, .room = room};
    put(d, head, sizeof(head));
    d->pairs_at = d->length;
    put_byte(d, 0);
}

void spawn_document_text(spawn_document *d, const char *key, const char *text,
                         size_t most)
{
    put_key(d, key);
    put_text(d, text, strnlen(text, most));
}

void spawn_document_number(spawn_document *d, const char *key, uint64_t value)
{
    put_key(d, key);
    if (value >= SMALL)
        put_byte(d, VARINT);
    put_varint(d, value);
}

void spawn_document_list(spawn_document *d, const char *key, uint32_t count)
{
    put_key(d, key);
    put_byte(d, REFN);
    put_byte(d, ARRAY);
    put_varint(d, count);
}

void spawn_document_item(spawn_document *d, const char *text)
{
    put_text(d, text, strlen(text));
}
