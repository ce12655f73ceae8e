/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes of the simulated kernel (kernel.h). Nobody in this world writes into
 * one, so they have no bytes: what can be seen of them is their end.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "t/simulation/body.h"
#include "t/simulation/kernel.h"

/* The names that --wrap gives. */
int __wrap_pipe2(int *ret, int flags);

typedef struct pipe_end pipe_end;
struct pipe_end {
    thing base;
    pipe_end *other; /* NULL: closed */
};

static pipe_end *end_of(thing *t)
{
    return (pipe_end *)(void *)t;
}

static short ready_to_read(thing *t)
{
    return end_of(t)->other ? 0 : POLLHUP;
}

static ssize_t read_end(thing *t, void *data, size_t room)
{
    (void)data;
    (void)room;
    return end_of(t)->other ? thing_error(EAGAIN) : 0;
}

static short ready_to_write(thing *t)
{
    return end_of(t)->other ? POLLOUT : POLLOUT | POLLERR;
}

static ssize_t write_end(thing *t, const void *data, size_t length)
{
    (void)t;
    (void)data;
    (void)length;
    thing_cannot("somebody writes into a pipe");
}

static void last_close(thing *t)
{
    pipe_end *end = end_of(t);

    if (end->other)
        end->other->other = NULL;
    body_world_free(end);
}

static const thing_kind reading = {.mode = S_IFIFO | 0600,
                                   .ready = ready_to_read,
                                   .read = read_end,
                                   .last_close = last_close};
static const thing_kind writing = {.mode = S_IFIFO | 0600,
                                   .ready = ready_to_write,
                                   .write = write_end,
                                   .last_close = last_close};

int pipe_holds(thing *t)
{
    if (t->kind != &reading)
        thing_cannot("FIONREAD is for pipes");
    return 0;
}

static pipe_end *make(const thing_kind *kind)
{
    pipe_end *end = body_world_malloc(sizeof(*end));

    if (!end)
        abort();
    *end = (pipe_end){.base = {.kind = kind, .uses = 1}};
    return end;
}

int __wrap_pipe2(int *ret, int flags)
{
    pipe_end *in = make(&reading), *out = make(&writing);

    (void)flags;
    in->other = out;
    out->other = in;
    ret[0] = thing_number(&in->base);
    ret[1] = thing_number(&out->base);
    return 0;
}
