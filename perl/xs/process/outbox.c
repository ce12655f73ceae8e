/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages and handles on their way to a process that is set up. Runs in
 * callers.
 *
 * A call of send_arg or send_fh must cost little, so it only adds to what is
 * here; what has come together goes in as few packets as the handles allow: the
 * kernel takes 253 at a time, and those that ride on one byte.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perl/xs/process/outbox.h"
#include "perl/xs/process/passed.h"

/* A message of strings takes no more when it is so long. */
#define TOGETHER 65536u
/* So much is sent at a time, and kept for the next messages. */
#define PART  (1u << 20)
#define KEPT  65536u
#define FIRST 1024u

static void write_length(char *at, size_t length)
{
    at[0] = (char)(length >> 24);
    at[1] = (char)(length >> 16);
    at[2] = (char)(length >> 8);
    at[3] = (char)length;
}

static size_t read_length(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;

    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

void spawn_outbox_init(spawn_outbox *o)
{
    memset(o, 0, sizeof(*o));
    o->other = -1;
    o->texts = o->handles = SPAWN_OUTBOX_NONE;
}

static void let_go(spawn_outbox_rider *rider)
{
    if (rider->owned)
        (void)close(rider->fd);
}

static void all_sent(spawn_outbox *o)
{
    o->length = o->sent = 0;
    o->riders_count = o->riders_sent = 0;
    o->texts = o->handles = SPAWN_OUTBOX_NONE;
    if (o->room > KEPT) {
        free(o->data);
        o->data = NULL;
        o->room = 0;
    }
}

void spawn_outbox_clear(spawn_outbox *o)
{
    while (o->riders_sent < o->riders_count)
        let_go(&o->riders[o->riders_sent++]);
    if (o->other >= 0)
        (void)close(o->other);
    o->other = -1;
    free(o->riders);
    free(o->data);
    o->riders = NULL;
    o->data = NULL;
    o->riders_room = o->room = 0;
    all_sent(o);
}

bool spawn_outbox_pending(const spawn_outbox *o)
{
    return o->sent < o->length;
}

/* Room for so many more bytes. */
static bool has_room(spawn_outbox *o, size_t more)
{
    size_t room = o->room ? o->room : FIRST;
    char *data;

    if (o->room - o->length >= more)
        return true;
    while (room - o->length < more) {
        if (room > SIZE_MAX / 2)
            return false;
        room *= 2;
    }
    data = realloc(o->data, room);
    if (!data)
        return false;
    o->data = data;
    o->room = room;
    return true;
}

char *spawn_outbox_message(spawn_outbox *o, char letter, size_t length)
{
    char *at;

    if (!has_room(o, SPAWN_OUTBOX_HEAD + length))
        return NULL;
    at = o->data + o->length;
    at[0] = letter;
    write_length(at + 1, length);
    o->length += SPAWN_OUTBOX_HEAD + length;
    o->texts = o->handles = SPAWN_OUTBOX_NONE;
    return at + SPAWN_OUTBOX_HEAD;
}

/* A message that is on its way in part stays as it is. */
static bool may_grow(const spawn_outbox *o, size_t message)
{
    return message != SPAWN_OUTBOX_NONE && message >= o->sent;
}

char *spawn_outbox_texts(spawn_outbox *o, char letter, size_t length)
{
    size_t begin = o->texts, had;
    char *body;

    if (may_grow(o, begin) && o->data[begin] == letter) {
        had = read_length(o->data + begin + 1);
        if (had + length <= TOGETHER) {
            if (!has_room(o, length))
                return NULL;
            write_length(o->data + begin + 1, had + length);
            o->length += length;
            return o->data + o->length - length;
        }
    }
    begin = o->length;
    body = spawn_outbox_message(o, letter, length);
    if (body)
        o->texts = begin;
    return body;
}

int spawn_outbox_ride(spawn_outbox *o, size_t message, int fd, bool owned)
{
    spawn_outbox_rider *rider;

    if (o->riders_count == o->riders_room) {
        size_t room = o->riders_room ? o->riders_room * 2 : 8;
        spawn_outbox_rider *riders =
            realloc(o->riders, room * sizeof(*o->riders));

        if (!riders)
            return -ENOMEM;
        o->riders = riders;
        o->riders_room = room;
    }
    rider = &o->riders[o->riders_count++];
    rider->at = message + SPAWN_OUTBOX_HEAD;
    rider->fd = fd;
    rider->owned = owned;
    return 0;
}

/* The body of such a message is one byte, the number of handles. */
int spawn_outbox_handle(spawn_outbox *o, char letter, int fd, bool owned)
{
    size_t begin = o->handles;
    unsigned char *count;
    char *body;
    int rv;

    if (may_grow(o, begin)) {
        count = (unsigned char *)o->data + begin + SPAWN_OUTBOX_HEAD;
        if (*count < SPAWN_PASSED_MOST) {
            rv = spawn_outbox_ride(o, begin, fd, owned);
            if (rv == 0)
                ++*count;
            return rv;
        }
    }
    begin = o->length;
    body = spawn_outbox_message(o, letter, 1);
    if (!body)
        return -ENOMEM;
    *body = 1;
    rv = spawn_outbox_ride(o, begin, fd, owned);
    if (rv < 0)
        o->length = begin;
    else
        o->handles = begin;
    return rv;
}

/* The riders of one byte, and where the bytes end that go with them. */
static unsigned next_part(const spawn_outbox *o, int *fds, size_t *ret_end)
{
    size_t i = o->riders_sent;
    unsigned count = 0;

    for (; i < o->riders_count && o->riders[i].at == o->sent; i++)
        fds[count++] = o->riders[i].fd;
    *ret_end = i < o->riders_count ? o->riders[i].at : o->length;
    if (*ret_end - o->sent > PART)
        *ret_end = o->sent + PART;
    return count;
}

int spawn_outbox_send(spawn_outbox *o, int sock)
{
    int fds[SPAWN_PASSED_MOST];

    while (spawn_outbox_pending(o)) {
        size_t end;
        unsigned count = next_part(o, fds, &end);
        long sent = spawn_passed_send(sock, o->data + o->sent, end - o->sent,
                                      fds, count);

        if (sent == -EINTR)
            continue;
        if (sent < 0)
            return (int)sent;
        o->begun = true;
        o->sent += (size_t)sent;
        while (count--)
            let_go(&o->riders[o->riders_sent++]);
    }
    all_sent(o);
    return 0;
}
