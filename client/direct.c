/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that go to a worker directly. Runs in callers, in any thread. A call
 * that was sent and not answered must be submitted to the broker, after it was
 * told that it may have been taken: it knows, or finds out, and no call runs
 * twice.
 */
#include "client/direct.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/spawn_field.h"
#include "common/spawn_os.h"

/* ms: the broker looks at such calls some times a second. */
#define TIMEOUT_MIN 1000
/* ms after the end of its broker */
#define ANSWERS_WITHIN 1000

bool spawn_direct_fits(spawn_connection *c, const spawn_message *job)
{
    static const uint8_t may[] = {
        SPAWN_A_ID,    SPAWN_A_QUEUE,   SPAWN_A_FUNCTION, SPAWN_A_ARGS,
        SPAWN_A_LOAD,  SPAWN_A_WANT,    SPAWN_A_LABEL,    SPAWN_A_CONTEXT,
        SPAWN_A_REPLY, SPAWN_A_TIMEOUT, SPAWN_A_GRACE};
    unsigned i, count = 0;

    if (spawn_fd_kept(&c->direct) < 0 || job->header.body > SPAWN_INLINE_MAX
        || strcmp(spawn_str_or(job, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE),
                  c->lent_queue)
               != 0
        || !spawn_has(job, SPAWN_A_FUNCTION))
        return false;
    if (spawn_u64_or(job, SPAWN_A_TIMEOUT, TIMEOUT_MIN) < TIMEOUT_MIN)
        return false;
    for (i = 0; i < sizeof(may); i++)
        count += spawn_has(job, may[i]);
    for (i = 0; i < SPAWN_A_COUNT; i++)
        count -= spawn_has(job, i);
    return count == 0;
}

/* For the answer. When the broker's connection ends, a worker that lives still
 * answers; one that has gone may have left a process with its socket, and the
 * next broker knows what has become of the call. */
static int wait_for_answer(spawn_connection *c, int fd, int64_t deadline)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = c->fd}};
    int64_t until;
    int rv;

    if (spawn_spin_look(&c->spin, fd))
        return 0;
    do {
        rv = spawn_poll_both(p, deadline);
    } while (rv == -EINTR);
    if (rv || p[0].revents)
        return rv;
    until = spawn_mono_ms() + ANSWERS_WITHIN;
    rv = spawn_poll(fd, POLLIN, until < deadline ? until : deadline);
    return rv == -ETIMEDOUT && until < deadline ? -EPIPE : rv;
}

/* A caller that gives up takes what is in the socket: of an answer there the
 * worker has noted that its caller has it, and it keeps no result. After the
 * shutdown the worker cannot send one any more. 1, or rv. */
static int last_look(spawn_connection *c, int fd, int rv, spawn_packet *ret)
{
    (void)shutdown(fd, SHUT_RD);
    return spawn_packet_receive(fd, c->buffer,
                                SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX, ret)
                   == 1
               ? 1
               : rv;
}

int spawn_direct_call(spawn_connection *c, spawn_writer *w, int64_t deadline,
                      spawn_answer *ret)
{
    int fd = spawn_fd_kept(&c->direct), rv;
    spawn_failure unused;
    spawn_packet packet;
    bool gave_up;

    spawn_connection_check(c);
    c->count = c->count % SPAWN_SEQ_COUNTS + 1;
    c->seq = spawn_seq(c->count, spawn_os_cpu());
    spawn_writer_set_seq(w, c->seq);
    if (spawn_packet_send(fd, w->data, w->length, NULL, 0) < 0) {
        spawn_connection_unlend(c);
        return 1;
    }
    for (;;) {
        rv = wait_for_answer(c, fd, deadline);
        gave_up = rv != 0;
        if (rv == 0)
            rv = spawn_packet_receive(
                fd, c->buffer, SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX, &packet);
        else
            rv = last_look(c, fd, rv, &packet);
        if (rv == -EAGAIN)
            continue;
        if (rv != 1
            || spawn_connection_answer(&packet, false, ret, &unused) != 0) {
            spawn_connection_unlend(c);
            return rv == -ETIMEDOUT ? rv : 2;
        }
        if (gave_up)
            spawn_connection_unlend(c);
        if (ret->message.header.seq == c->seq
            && ret->message.header.type == SPAWN_M_JOB)
            return 0;
        rv = ret->message.header.seq == c->seq
                     && ret->message.header.type == SPAWN_M_NOT_TAKEN
                 ? 1
                 : 2;
        spawn_answer_free(ret);
        if (rv == 2) /* nobody asked for that */
            spawn_connection_unlend(c);
        return rv;
    }
}

int spawn_direct_tell_lost(spawn_connection *c, const spawn_id *worker,
                           int64_t deadline)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LEASE_LOST, 0);
    spawn_put_id(&w, SPAWN_A_ID, worker);
    (void)spawn_writer_finish(&w, 0);
    return spawn_connection_send(c, &w, NULL, 0, deadline);
}
