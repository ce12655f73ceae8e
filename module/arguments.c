/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts as the arguments of a Perl function: an array, as Sereal (protocol 3)
 * writes it down. A text that is no UTF-8 goes as bytes.
 *
 * Runs in httpd: the parent (SpawnCron) and its children (the C API). Must not
 * need Perl.
 */
#include "module/arguments.h"

#include <string.h>

#include "common/spawn_proto.h"

#define VARINT_MAX 10 /* bytes of a 64-bit number */
#define BINARY     0x26

static uint8_t *varint(uint8_t *to, apr_size_t number)
{
    for (; number > 127; number >>= 7)
        *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

void spawn_put_arguments(apr_pool_t *p, spawn_writer *w,
                         const apr_array_header_t *texts, int i)
{
    static const uint8_t head[] = {0x3d, 0xf3, 'r', 'l', 3, 0, 0x28, 0x2b};
    apr_size_t size = sizeof(head) + VARINT_MAX;
    uint8_t *data, *to;
    int from;

    for (from = i; from < texts->nelts; from++)
        size +=
            strlen(APR_ARRAY_IDX(texts, from, const char *)) + 1 + VARINT_MAX;
    if (size > SPAWN_ARGS_MAX) {
        w->error = -EMSGSIZE;
        return;
    }
    to = data = apr_palloc(p, size);
    memcpy(to, head, sizeof(head));
    to = varint(to + sizeof(head), (apr_size_t)(texts->nelts - i));
    for (; i < texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(texts, i, const char *);
        apr_size_t length = strlen(text);

        *to++ = BINARY;
        to = varint(to, length);
        memcpy(to, text, length);
        to += length;
    }
    spawn_put_bytes(w, SPAWN_A_ARGS, data, (size_t)(to - data));
}
