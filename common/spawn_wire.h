/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_wire.h
 * @brief The codec: a message is a header and typed attributes, little-endian.
 *
 * Runs in every process. Knows how bytes are laid out, not what they mean
 * (that is spawn_proto.h). Reads hostile bytes: every length is checked
 * against what is left before it is used, and nothing is allocated for a
 * length that a peer named. docs/protocol.md has the layout for people.
 *
 * Header, 16 bytes:
 *   u16 magic, u8 version, u8 flags, u16 type, u16 fds, u32 seq, u32 body
 * Attribute, 8 bytes and its payload, padded with zeros to a multiple of 8:
 *   u16 id, u8 kind, u8 zero, u32 length of the payload
 */
#ifndef SPAWN_WIRE_H
#define SPAWN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/spawn_id.h"

#define SPAWN_WIRE_MAGIC       0x5053
#define SPAWN_WIRE_VERSION     1
#define SPAWN_WIRE_HEADER      16
#define SPAWN_WIRE_ATTR_HEADER 8

/** The body is in a sealed memfd that comes as the last descriptor. */
#define SPAWN_WIRE_BODY_IN_FD 0x01

/** The kinds of an attribute's payload. The numbers travel. */
typedef enum {
    SPAWN_KIND_U64 = 1, /* 8 bytes */
    SPAWN_KIND_I64 = 2, /* 8 bytes, two's complement */
    SPAWN_KIND_STR = 3, /* text, one NUL at the end and none before */
    SPAWN_KIND_BYTES = 4,
    SPAWN_KIND_STRV = 5,  /* u32 count, then count texts, each with its NUL */
    SPAWN_KIND_U64V = 6,  /* any number of u64 */
    SPAWN_KIND_ID = 7,    /* a job id, 16 bytes */
    SPAWN_KIND_STDIO = 8, /* u8 how, u8 flags, u16 fd index, path with NUL */
    SPAWN_KIND_NEST = 9   /* attributes */
} spawn_kind;

typedef struct {
    uint8_t version;
    uint8_t flags;
    uint16_t type;
    uint16_t fds; /* descriptors of the message, without a body's memfd */
    uint32_t seq; /* set by the asking side, repeated in the answer */
    uint32_t body;
} spawn_wire_header;

/** One attribute; data points into the message. */
typedef struct {
    uint16_t id;
    uint8_t kind;
    uint32_t length;
    const uint8_t *data;
} spawn_attr;

/* ---- reading ---- */

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} spawn_reader;

/**
 * Read a header.
 * @return 0; -EBADMSG too short or wrong magic; -EPROTONOSUPPORT another
 * version (ret is filled then, so that an answer can be made).
 */
int spawn_wire_read_header(const void *data, size_t length,
                           spawn_wire_header *ret);

void spawn_reader_init(spawn_reader *r, const void *body, size_t length);

/**
 * The next attribute, its payload checked to be of its kind, so that the
 * getters below cannot fail.
 * @return 1 with *ret filled, 0 at the end, -EBADMSG for anything malformed.
 */
int spawn_reader_next(spawn_reader *r, spawn_attr *ret);

uint64_t spawn_attr_u64(const spawn_attr *a);
int64_t spawn_attr_i64(const spawn_attr *a);
const char *spawn_attr_str(const spawn_attr *a);
void spawn_attr_id(const spawn_attr *a, spawn_id *ret);

/** Texts of a STRV: how many, and the one after prev (NULL: the first; prev
 * must not be the last one). They lie one after another, so that a vector of
 * pointers into the message serves execve. */
uint32_t spawn_strv_count(const spawn_attr *a);
const char *spawn_strv_next(const spawn_attr *a, const char *prev);

/** Numbers of a U64V. i must be below the count. */
uint32_t spawn_u64v_count(const spawn_attr *a);
uint64_t spawn_u64v_at(const spawn_attr *a, uint32_t i);

/** How a standard stream of a job is set. The numbers travel. */
typedef enum {
    SPAWN_STDIO_NULL = 0,
    SPAWN_STDIO_PATH = 1,
    SPAWN_STDIO_FD = 2,   /* a descriptor of the message */
    SPAWN_STDIO_DATA = 3, /* stdin: the bytes of the STDIN_DATA attribute */
    SPAWN_STDIO_LOG = 4,
    SPAWN_STDIO_CAPTURE = 5,
    SPAWN_STDIO_STDOUT = 6 /* stderr: wherever stdout goes */
} spawn_stdio_how;

#define SPAWN_STDIO_APPEND 0x01 /* PATH: append; else cut to nothing first */

typedef struct {
    spawn_stdio_how how;
    uint8_t flags;
    uint16_t fd;      /* FD: index into the descriptors of the message */
    const char *path; /* PATH; else "" */
} spawn_stdio;

void spawn_attr_stdio(const spawn_attr *a, spawn_stdio *ret);

/* ---- writing ---- */

/**
 * Builds one message in a buffer that grows (heap) or does not (given). Errors
 * stick: check once, at spawn_writer_finish.
 */
typedef struct {
    uint8_t *data;
    size_t length;
    size_t room;
    size_t limit; /* most bytes it may grow to */
    bool heap;
    int error; /* 0 or negative errno */
} spawn_writer;

/** Write into a heap buffer, freed by spawn_writer_free. @param limit most
 * bytes, header included. */
void spawn_writer_init(spawn_writer *w, size_t limit);
/** Write into buffer[room]; never grows, never freed. */
void spawn_writer_init_fixed(spawn_writer *w, void *buffer, size_t room);
/** A copy of all that is written so far, in a heap buffer of its own. @return 0
 * or -ENOMEM. */
int spawn_writer_copy(spawn_writer *ret, const spawn_writer *w);
void spawn_writer_free(spawn_writer *w);

/** Start a message (forgets what was written before, keeps the buffer). */
void spawn_writer_begin(spawn_writer *w, uint16_t type, uint32_t seq);

void spawn_put_u64(spawn_writer *w, uint16_t id, uint64_t value);
void spawn_put_i64(spawn_writer *w, uint16_t id, int64_t value);
/** The text must have no NUL inside; length without its NUL. */
void spawn_put_str(spawn_writer *w, uint16_t id, const char *text);
void spawn_put_strn(spawn_writer *w, uint16_t id, const char *text,
                    size_t length);
void spawn_put_bytes(spawn_writer *w, uint16_t id, const void *data,
                     size_t length);
void spawn_put_id(spawn_writer *w, uint16_t id, const spawn_id *value);
void spawn_put_u64v(spawn_writer *w, uint16_t id, const uint64_t *values,
                    uint32_t count);
void spawn_put_stdio(spawn_writer *w, uint16_t id, const spawn_stdio *value);
/** Copy an attribute as it is, under its own id or another. */
void spawn_put_attr(spawn_writer *w, uint16_t id, const spawn_attr *a);
/** Attributes that are already encoded (a stored order), as they are. */
void spawn_put_raw(spawn_writer *w, const void *attrs, size_t length);

/**
 * A STRV or NEST is written in steps: open, then texts (or attributes), then
 * close with the mark that open gave.
 */
size_t spawn_open_strv(spawn_writer *w, uint16_t id);
void spawn_add_text(spawn_writer *w, size_t mark, const char *text,
                    size_t length);
size_t spawn_open_nest(spawn_writer *w, uint16_t id);
void spawn_close(spawn_writer *w, size_t mark);

/** Make a finished message one of another type, which has the same body. */
void spawn_writer_set_type(spawn_writer *w, uint16_t type);
/** Give it another sequence number. */
void spawn_writer_set_seq(spawn_writer *w, uint32_t seq);

/**
 * Fill in the header.
 * @param fds how many descriptors go with the message.
 * @return 0, -EMSGSIZE over the limit, -ENOMEM, -EINVAL a text with a NUL.
 */
int spawn_writer_finish(spawn_writer *w, unsigned fds);

#endif
