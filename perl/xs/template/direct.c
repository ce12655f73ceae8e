/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that come from their caller directly, while the broker lends this
 * worker to it (docs/leases.md). Runs in a worker only, between two calls and
 * around one. The slate must say that a call runs before its function begins,
 * and that it has ended before its caller is answered: the broker learns from
 * it what has run.
 */
#include "perl/xs/template/plain.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/spawn_digest.h"
#include "common/spawn_fd.h"
#include "common/spawn_os.h"
#include "common/spawn_slate.h"

#define REST_MAX 16 /* a caller sends one call and waits */

static spawn_kept_fd caller = SPAWN_KEPT_NONE; /* a call may close it */
static spawn_kept_fd err = SPAWN_KEPT_NONE;    /* the broker reads it */
static spawn_slate *slate;
static uint64_t lease;   /* its number */
static spawn_id last_id; /* of the last call in it */
static bool any;
static bool over; /* the lease ends after the call */
static uint64_t usage[SPAWN_RU_COUNT];

void spawn_direct_begins(spawn_packet *lend, const spawn_message *m)
{
    spawn_board *board = spawn_template_board();

    spawn_fd_close(&caller);
    spawn_fd_keep(&caller, lend->fds[0]);
    lend->fds_count = 0;
    if (err.fd < 0)
        spawn_fd_keep(&err, STDERR_FILENO);
    slate = board ? spawn_board_slate(board) : NULL;
    lease = spawn_attr_u64(&m->attr[SPAWN_A_SEQ]);
    any = false;
    over = false;
}

int spawn_direct_fd(void)
{
    return slate ? spawn_fd_kept(&caller) : -1;
}

bool spawn_direct_lent(void)
{
    return slate != NULL;
}

/* ---- answers ---- */

static void not_taken(int fd, uint32_t seq)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_NOT_TAKEN, seq);
    if (spawn_writer_finish(&w, 0) == 0)
        (void)spawn_packet_send(fd, w.data, w.length, NULL, 0);
}

static void put(spawn_writer *w, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_put_attr(w, attr, &m->attr[attr]);
}

static void put_progress(const spawn_board *board, spawn_writer *w)
{
    spawn_progress p;
    size_t mark;

    if (!spawn_board_own_progress(board, &p))
        return;
    mark = spawn_open_strv(w, SPAWN_A_PROGRESS);
    spawn_add_text(w, mark, p.done, strlen(p.done));
    spawn_add_text(w, mark, p.of, strlen(p.of));
    spawn_add_text(w, mark, p.text, strlen(p.text));
    spawn_close(w, mark);
}

/* As the broker would tell it. */
static void write_answer(const spawn_message *m, const spawn_slate_call *call,
                         spawn_writer *w)
{
    const spawn_board *board = spawn_template_board();
    const void *data;
    size_t length;
    unsigned kind = spawn_board_own_result(board, &data, &length);

    spawn_writer_begin(w, SPAWN_M_JOB, m->header.seq);
    put(w, m, SPAWN_A_ID);
    put(w, m, SPAWN_A_QUEUE);
    spawn_put_u64(w, SPAWN_A_STATE, SPAWN_STATE_DONE);
    spawn_put_u64(w, SPAWN_A_PID, (uint64_t)getpid());
    spawn_put_u64(w, SPAWN_A_SUBMITTED_AT, (uint64_t)call->started_at);
    spawn_put_u64(w, SPAWN_A_STARTED_AT, (uint64_t)call->started_at);
    spawn_put_u64(w, SPAWN_A_OUTCOME, SPAWN_OUTCOME_EXITED);
    spawn_put_u64(w, SPAWN_A_ENDED_AT, (uint64_t)call->ended_at);
    spawn_put_u64(w, SPAWN_A_EXIT_CODE,
                  kind == SPAWN_RESULT_RETURNED ? 0 : 255);
    spawn_put_u64(w, SPAWN_A_ELAPSED, (uint64_t)call->elapsed_us);
    spawn_put_u64v(w, SPAWN_A_RUSAGE, call->usage, SPAWN_RU_COUNT);
    spawn_put_u64(w, SPAWN_A_RESULT_KIND, kind);
    if (kind != SPAWN_RESULT_NONE)
        spawn_put_bytes(w, SPAWN_A_RESULT, data, length);
    put(w, m, SPAWN_A_FUNCTION);
    put(w, m, SPAWN_A_LABEL);
    put(w, m, SPAWN_A_CONTEXT);
    put_progress(board, w);
}

/* Without waiting: a caller has asked for one thing, and has room for its
 * answer, or has gone. */
static void answer(const spawn_message *m, const spawn_slate_call *call)
{
    static uint8_t room[8192];
    const void *unused;
    size_t length;
    spawn_writer w;
    int fd = spawn_fd_kept(&caller), rv;

    (void)spawn_board_own_result(spawn_template_board(), &unused, &length);
    if (length < sizeof(room) / 4)
        spawn_writer_init_fixed(&w, room, sizeof(room));
    else
        spawn_writer_init(&w, SPAWN_ANSWER_MAX);
    write_answer(m, call, &w);
    rv = fd < 0 ? -EBADF : spawn_writer_finish(&w, 0);
    if (rv == 0)
        rv = spawn_packet_send(fd, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    if (rv == 0)
        spawn_slate_answered(slate);
    else
        over = true; /* the broker has the result, and ends the lease */
}

/* ---- a call ---- */

static bool is_ours(const spawn_attr *a)
{
    return a->id != SPAWN_A_ARGS && a->id != SPAWN_A_REPLY;
}

/* The part of an order that the broker needs to know. False: it is too big. */
static bool note(const spawn_packet *p, const spawn_message *m,
                 spawn_slate_call *ret)
{
    const uint8_t *body = p->data + SPAWN_WIRE_HEADER, *at = body;
    spawn_reader r;
    spawn_attr a;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &ret->id);
    ret->digest = spawn_digest(body, p->length - SPAWN_WIRE_HEADER);
    ret->started_at = spawn_wall_ms();
    ret->mono_us = spawn_mono_us();
    ret->kind = SPAWN_RESULT_NONE;
    ret->length = 0;
    spawn_reader_init(&r, body, p->length - SPAWN_WIRE_HEADER);
    for (; spawn_reader_next(&r, &a) == 1; at = r.at) {
        size_t n = (size_t)(r.at - at);

        if (!is_ours(&a))
            continue;
        if (n > sizeof(ret->order) - ret->length)
            return false;
        memcpy(ret->order + ret->length, at, n);
        ret->length += (uint32_t)n;
    }
    return true;
}

static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* A call that the caller has left behind must not begin. Its caller closes its
 * end first and asks the broker then, which looks at the slate; so the slate
 * says that the call runs first, and then we look at that end. Before that the
 * board is cleared: the result of the call before, which was sent, must not be
 * taken for that of this one. */
static bool may_run(int fd, const spawn_packet *p, const spawn_message *m,
                    spawn_slate_call *call)
{
    if (!note(p, m, call))
        return false;
    spawn_board_clear(spawn_template_board());
    if (!spawn_slate_begins(slate, call))
        return false;
    if (!hung_up(fd))
        return true;
    spawn_slate_withdraw(slate);
    return false;
}

int spawn_direct_receive(spawn_packet *packet, spawn_message *ret)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    static spawn_slate_call call;
    int fd = spawn_direct_fd(), rv;

    if (fd < 0) {
        over = true;
        return -EPIPE;
    }
    rv = spawn_packet_receive(fd, buffer, sizeof(buffer), packet);
    if (rv == -EAGAIN)
        return rv;
    if (rv <= 0) {
        over = true;
        return -EPIPE;
    }
    if (spawn_message_parse(packet->data, packet->length, SPAWN_FROM_CALLER,
                            packet->fds_count, ret, NULL)
            < 0
        || ret->header.type != SPAWN_M_SUBMIT
        || !spawn_has(ret, SPAWN_A_FUNCTION)) {
        spawn_packet_close(packet);
        over = true;
        return -EPIPE;
    }
    if (over || !may_run(fd, packet, ret, &call)) {
        not_taken(fd, ret->header.seq);
        spawn_packet_close(packet);
        return -EAGAIN;
    }
    last_id = call.id;
    any = true;
    return 1;
}

static bool has_written(void)
{
    int there = 0, fd = spawn_fd_kept(&err);

    return fd >= 0 && ioctl(fd, FIONREAD, &there) == 0 && there > 0;
}

static void tell_slate(int link)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SLATE, 0);
    (void)spawn_template_tell(link, &w);
}

void spawn_direct_ended(int link, const spawn_message *m,
                        const uint64_t *its_usage, bool last)
{
    spawn_slate_call *call = spawn_slate_running(slate), told;
    const void *unused;
    size_t length;

    memcpy(usage, its_usage, sizeof(usage));
    memcpy(call->usage, its_usage, sizeof(usage));
    call->ended_at = spawn_wall_ms();
    call->elapsed_us = spawn_mono_us() - call->mono_us;
    call->kind =
        spawn_board_own_result(spawn_template_board(), &unused, &length);
    told = *call;
    /* its lines are known by its id as long as no other call runs */
    over |= last || has_written();
    spawn_slate_ends(slate);
    answer(m, &told);
    over |= spawn_slate_is_held(slate);
    if (!over
        && spawn_slate_unread(slate) % (SPAWN_SLATE_CALLS / 2)
               == SPAWN_SLATE_CALLS / 2 - 1)
        tell_slate(link);
}

/* ---- the end ---- */

bool spawn_direct_is_over(void)
{
    return slate && over;
}

/* A call that has come since is not taken; a later one cannot be sent. */
static void refuse_rest(int fd)
{
    spawn_packet packet;
    spawn_message m;
    int i;

    over = true;
    (void)shutdown(fd, SHUT_RD);
    for (i = 0; i < REST_MAX; i++) {
        if (spawn_direct_receive(&packet, &m) != -EAGAIN)
            break;
    }
}

static int tell_given_back(int link, uint64_t which, bool last)
{
    uint8_t room[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_GIVEN_BACK, 0);
    spawn_put_u64(&w, SPAWN_A_SEQ, which);
    if (any) {
        spawn_put_id(&w, SPAWN_A_ID, &last_id);
        spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    }
    if (last)
        spawn_put_u64(&w, SPAWN_A_LAST, 1);
    return spawn_template_tell(link, &w);
}

void spawn_direct_leave(void)
{
    if (spawn_direct_fd() >= 0)
        refuse_rest(spawn_direct_fd());
    spawn_fd_close(&caller);
    slate = NULL;
}

int spawn_direct_give_back(int link, bool last)
{
    spawn_direct_leave();
    return tell_given_back(link, lease, last);
}

/* A broker that was killed may have been told already. */
int spawn_direct_take_back(int link, const spawn_message *m)
{
    over = true;
    return slate ? 0
                 : tell_given_back(link, spawn_attr_u64(&m->attr[SPAWN_A_SEQ]),
                                   false);
}
