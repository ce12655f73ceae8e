/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's body: its bytes, and what they say. Runs in the broker. Must not
 * abort when there is no memory: a caller chose the size.
 */
#include "broker/job/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_packet.h"
#include "common/spawn_proto.h"

spawn_body *spawn_body_room(size_t length, size_t input_length,
                            size_t args_length)
{
    spawn_body *body =
        malloc(sizeof(*body) + length + input_length + args_length);

    if (!body)
        return NULL;
    body->length = length;
    body->input_length = input_length;
    body->args_length = args_length;
    body->input = input_length ? body->data + length : NULL;
    body->args = args_length ? body->data + length + input_length : NULL;
    return body;
}

/* The attribute is small, or needed while the job waits. */
static bool stays(const spawn_attr *a)
{
    return a->id != SPAWN_A_STDIN_DATA && a->id != SPAWN_A_ARGS;
}

spawn_body *spawn_body_new(const void *attrs, size_t length)
{
    spawn_attr a, input = {0}, args = {0};
    spawn_reader r;
    spawn_body *body;
    size_t kept = 0;
    const uint8_t *at = attrs;

    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id == SPAWN_A_STDIN_DATA)
            input = a;
        if (a.id == SPAWN_A_ARGS)
            args = a;
        if (stays(&a))
            kept += (size_t)(r.at - at);
        at = r.at;
    }
    body = spawn_body_room(kept, input.length, args.length);
    if (!body)
        return NULL;
    spawn_reader_init(&r, attrs, length);
    for (kept = 0, at = attrs; spawn_reader_next(&r, &a) == 1; at = r.at) {
        if (!stays(&a))
            continue;
        memcpy(body->data + kept, at, (size_t)(r.at - at));
        kept += (size_t)(r.at - at);
    }
    if (input.length)
        memcpy(body->input, input.data, input.length);
    if (args.length)
        memcpy(body->args, args.data, args.length);
    return body;
}

int spawn_body_read(const spawn_job *job, const spawn_body *body,
                    spawn_message *ret, spawn_failure *why)
{
    if (!body) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, EIO,
                          "the job's order could not be read from the store");
        return -1;
    }
    return spawn_body_parse(body->data, body->length, SPAWN_M_SUBMIT, job->fds,
                            ret, why);
}

const char *spawn_body_name(const spawn_job *job, const spawn_body *body,
                            char *name)
{
    spawn_message m;
    bool read = body && spawn_body_read(job, body, &m, NULL) == 0;

    return spawn_logs_name(&job->id, read ? &m : NULL, name);
}

spawn_step spawn_body_fd_step(const spawn_message *m)
{
    spawn_stdio s;
    unsigned i;

    for (i = 0; i < 3; i++) {
        if (!spawn_has(m, SPAWN_A_STDIN + i))
            continue;
        spawn_attr_stdio(&m->attr[SPAWN_A_STDIN + i], &s);
        if (s.how == SPAWN_STDIO_FD)
            return (spawn_step)(SPAWN_STEP_STDIN + i);
    }
    return SPAWN_STEP_FDS;
}
