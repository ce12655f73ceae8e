/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec of spawn_wire.h. Runs in every process, on hostile bytes. Must
 * never allocate for a length that came from outside, nor read past the end of
 * a message.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_wire.h"

#define PAD(n)       (((n) + 7) & ~(size_t)7)
#define STDIO_HEADER 4
#define STRV_HEADER  4

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void set16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void set32(uint8_t *p, uint32_t v)
{
    set16(p, (uint16_t)v);
    set16(p + 2, (uint16_t)(v >> 16));
}

static void set64(uint8_t *p, uint64_t v)
{
    set32(p, (uint32_t)v);
    set32(p + 4, (uint32_t)(v >> 32));
}

/* ---- reading ---- */

int spawn_wire_read_header(const void *data, size_t length,
                           spawn_wire_header *ret)
{
    const uint8_t *p = data;

    if (length < SPAWN_WIRE_HEADER || get16(p) != SPAWN_WIRE_MAGIC)
        return -EBADMSG;
    ret->version = p[2];
    ret->flags = p[3];
    ret->type = get16(p + 4);
    ret->fds = get16(p + 6);
    ret->seq = get32(p + 8);
    ret->body = get32(p + 12);
    return ret->version == SPAWN_WIRE_VERSION ? 0 : -EPROTONOSUPPORT;
}

void spawn_reader_init(spawn_reader *r, const void *body, size_t length)
{
    r->at = body;
    r->end = r->at + length;
}

static bool text_ok(const uint8_t *p, size_t length)
{
    return length > 0 && memchr(p, '\0', length) == p + length - 1;
}

static bool strv_ok(const uint8_t *p, size_t length)
{
    uint32_t count;
    const uint8_t *end = p + length;

    if (length < STRV_HEADER)
        return false;
    count = get32(p);
    p += STRV_HEADER;
    while (count > 0) {
        const uint8_t *nul = memchr(p, '\0', (size_t)(end - p));

        if (!nul)
            return false;
        p = nul + 1;
        count--;
    }
    return p == end;
}

static bool stdio_ok(const uint8_t *p, size_t length)
{
    return length > STDIO_HEADER && p[0] <= SPAWN_STDIO_STDOUT
           && text_ok(p + STDIO_HEADER, length - STDIO_HEADER);
}

static bool payload_ok(uint8_t kind, const uint8_t *p, size_t length)
{
    switch (kind) {
    case SPAWN_KIND_U64:
    case SPAWN_KIND_I64:
        return length == 8;
    case SPAWN_KIND_STR:
        return text_ok(p, length);
    case SPAWN_KIND_BYTES:
        return true;
    case SPAWN_KIND_STRV:
        return strv_ok(p, length);
    case SPAWN_KIND_U64V:
        return length % 8 == 0;
    case SPAWN_KIND_ID:
        return length == SPAWN_ID_SIZE;
    case SPAWN_KIND_STDIO:
        return stdio_ok(p, length);
    case SPAWN_KIND_NEST:
        return length % 8 == 0;
    default:
        return false;
    }
}

int spawn_reader_next(spawn_reader *r, spawn_attr *ret)
{
    size_t left = (size_t)(r->end - r->at);
    spawn_attr a;

    if (left == 0)
        return 0;
    if (left < SPAWN_WIRE_ATTR_HEADER)
        return -EBADMSG;
    a.id = get16(r->at);
    a.kind = r->at[2];
    a.length = get32(r->at + 4);
    a.data = r->at + SPAWN_WIRE_ATTR_HEADER;
    left -= SPAWN_WIRE_ATTR_HEADER;
    if (a.length > left || PAD((size_t)a.length) > left)
        return -EBADMSG;
    if (!payload_ok(a.kind, a.data, a.length))
        return -EBADMSG;
    r->at = a.data + PAD((size_t)a.length);
    *ret = a;
    return 1;
}

uint64_t spawn_attr_u64(const spawn_attr *a)
{
    return get64(a->data);
}

int64_t spawn_attr_i64(const spawn_attr *a)
{
    return (int64_t)get64(a->data);
}

const char *spawn_attr_str(const spawn_attr *a)
{
    return (const char *)a->data;
}

void spawn_attr_id(const spawn_attr *a, spawn_id *ret)
{
    memcpy(ret->bytes, a->data, SPAWN_ID_SIZE);
}

uint32_t spawn_strv_count(const spawn_attr *a)
{
    return get32(a->data);
}

const char *spawn_strv_next(const spawn_attr *a, const char *prev)
{
    if (!prev)
        return (const char *)a->data + STRV_HEADER;
    return prev + strlen(prev) + 1;
}

uint32_t spawn_u64v_count(const spawn_attr *a)
{
    return a->length / 8;
}

uint64_t spawn_u64v_at(const spawn_attr *a, uint32_t i)
{
    return get64(a->data + (size_t)i * 8);
}

void spawn_attr_stdio(const spawn_attr *a, spawn_stdio *ret)
{
    ret->how = (spawn_stdio_how)a->data[0];
    ret->flags = a->data[1];
    ret->fd = get16(a->data + 2);
    ret->path = (const char *)a->data + STDIO_HEADER;
}

/* ---- writing ---- */

void spawn_writer_init(spawn_writer *w, size_t limit)
{
    memset(w, 0, sizeof(*w));
    w->limit = limit;
    w->heap = true;
}

void spawn_writer_init_fixed(spawn_writer *w, void *buffer, size_t room)
{
    memset(w, 0, sizeof(*w));
    w->data = buffer;
    w->room = w->limit = room;
}

int spawn_writer_copy(spawn_writer *ret, const spawn_writer *w)
{
    uint8_t *data = malloc(w->length ? w->length : 1);

    if (!data)
        return -ENOMEM;
    memcpy(data, w->data, w->length);
    *ret = *w;
    ret->data = data;
    ret->room = w->length;
    ret->heap = true;
    return 0;
}

void spawn_writer_free(spawn_writer *w)
{
    if (w->heap)
        free(w->data);
    memset(w, 0, sizeof(*w));
}

/* Room for n more bytes, or NULL, with the error noted. */
static uint8_t *reserve(spawn_writer *w, size_t n)
{
    if (w->error)
        return NULL;
    if (n > w->limit - w->length) {
        w->error = -EMSGSIZE;
        return NULL;
    }
    if (w->length + n > w->room) {
        size_t room = w->room ? w->room : 1024;
        uint8_t *data;

        while (room < w->length + n)
            room *= 2;
        if (room > w->limit)
            room = w->limit;
        data = realloc(w->data, room);
        if (!data) {
            w->error = -ENOMEM;
            return NULL;
        }
        w->data = data;
        w->room = room;
    }
    return w->data + w->length;
}

static void append(spawn_writer *w, const void *data, size_t length)
{
    uint8_t *p = reserve(w, length);

    if (p && length) { /* data is NULL when there is none */
        memcpy(p, data, length);
        w->length += length;
    }
}

static void append_zeros(spawn_writer *w, size_t length)
{
    uint8_t *p = reserve(w, length);

    if (p) {
        memset(p, 0, length);
        w->length += length;
    }
}

void spawn_writer_begin(spawn_writer *w, uint16_t type, uint32_t seq)
{
    w->length = 0;
    w->error = 0;
    append_zeros(w, SPAWN_WIRE_HEADER);
    if (w->error)
        return;
    set16(w->data, SPAWN_WIRE_MAGIC);
    w->data[2] = SPAWN_WIRE_VERSION;
    set16(w->data + 4, type);
    set32(w->data + 8, seq);
}

/* Write an attribute's header; the payload's length is set by close. */
static size_t open_attr(spawn_writer *w, uint16_t id, spawn_kind kind)
{
    size_t mark = w->length;
    uint8_t *p = reserve(w, SPAWN_WIRE_ATTR_HEADER);

    if (p) {
        set16(p, id);
        p[2] = (uint8_t)kind;
        p[3] = 0;
        w->length += SPAWN_WIRE_ATTR_HEADER;
    }
    return mark;
}

void spawn_close(spawn_writer *w, size_t mark)
{
    size_t length;

    if (w->error)
        return;
    length = w->length - mark - SPAWN_WIRE_ATTR_HEADER;
    if (length > UINT32_MAX) {
        w->error = -EMSGSIZE;
        return;
    }
    set32(w->data + mark + 4, (uint32_t)length);
    append_zeros(w, PAD(length) - length);
}

static void put(spawn_writer *w, uint16_t id, spawn_kind kind, const void *data,
                size_t length)
{
    size_t mark = open_attr(w, id, kind);

    append(w, data, length);
    spawn_close(w, mark);
}

void spawn_put_u64(spawn_writer *w, uint16_t id, uint64_t value)
{
    uint8_t bytes[8];

    set64(bytes, value);
    put(w, id, SPAWN_KIND_U64, bytes, sizeof(bytes));
}

void spawn_put_i64(spawn_writer *w, uint16_t id, int64_t value)
{
    uint8_t bytes[8];

    set64(bytes, (uint64_t)value);
    put(w, id, SPAWN_KIND_I64, bytes, sizeof(bytes));
}

/* A text with its NUL; a reader would cut a text with a NUL inside. */
static void append_text(spawn_writer *w, const char *text, size_t length)
{
    if (memchr(text, '\0', length)) {
        if (!w->error)
            w->error = -EINVAL;
        return;
    }
    append(w, text, length);
    append_zeros(w, 1);
}

void spawn_put_strn(spawn_writer *w, uint16_t id, const char *text,
                    size_t length)
{
    size_t mark = open_attr(w, id, SPAWN_KIND_STR);

    append_text(w, text, length);
    spawn_close(w, mark);
}

void spawn_put_str(spawn_writer *w, uint16_t id, const char *text)
{
    spawn_put_strn(w, id, text, strlen(text));
}

void spawn_put_bytes(spawn_writer *w, uint16_t id, const void *data,
                     size_t length)
{
    put(w, id, SPAWN_KIND_BYTES, data, length);
}

void spawn_put_id(spawn_writer *w, uint16_t id, const spawn_id *value)
{
    put(w, id, SPAWN_KIND_ID, value->bytes, SPAWN_ID_SIZE);
}

void spawn_put_u64v(spawn_writer *w, uint16_t id, const uint64_t *values,
                    uint32_t count)
{
    size_t mark = open_attr(w, id, SPAWN_KIND_U64V);
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint8_t bytes[8];

        set64(bytes, values[i]);
        append(w, bytes, sizeof(bytes));
    }
    spawn_close(w, mark);
}

void spawn_put_stdio(spawn_writer *w, uint16_t id, const spawn_stdio *value)
{
    size_t mark = open_attr(w, id, SPAWN_KIND_STDIO);
    const char *path = value->path ? value->path : "";
    uint8_t head[STDIO_HEADER];

    head[0] = (uint8_t)value->how;
    head[1] = value->flags;
    set16(head + 2, value->fd);
    append(w, head, sizeof(head));
    append_text(w, path, strlen(path));
    spawn_close(w, mark);
}

void spawn_put_attr(spawn_writer *w, uint16_t id, const spawn_attr *a)
{
    put(w, id, (spawn_kind)a->kind, a->data, a->length);
}

void spawn_put_raw(spawn_writer *w, const void *attrs, size_t length)
{
    append(w, attrs, length);
}

size_t spawn_open_strv(spawn_writer *w, uint16_t id)
{
    size_t mark = open_attr(w, id, SPAWN_KIND_STRV);

    append_zeros(w, STRV_HEADER);
    return mark;
}

void spawn_add_text(spawn_writer *w, size_t mark, const char *text,
                    size_t length)
{
    uint8_t *count;

    append_text(w, text, length);
    if (w->error)
        return;
    count = w->data + mark + SPAWN_WIRE_ATTR_HEADER;
    set32(count, get32(count) + 1);
}

size_t spawn_open_nest(spawn_writer *w, uint16_t id)
{
    return open_attr(w, id, SPAWN_KIND_NEST);
}

void spawn_writer_set_type(spawn_writer *w, uint16_t type)
{
    w->data[4] = (uint8_t)type;
    w->data[5] = (uint8_t)(type >> 8);
}

void spawn_writer_set_seq(spawn_writer *w, uint32_t seq)
{
    set32(w->data + 8, seq);
}

int spawn_writer_finish(spawn_writer *w, unsigned fds)
{
    if (w->error)
        return w->error;
    set16(w->data + 6, (uint16_t)fds);
    set32(w->data + 12, (uint32_t)(w->length - SPAWN_WIRE_HEADER));
    return 0;
}
