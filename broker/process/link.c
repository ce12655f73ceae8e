/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to the spawner. Runs in the broker, and its end is the broker's end.
 * Must not change the order of what is sent, nor wait for room.
 */
#include "broker/process/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_box.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"

#define MESSAGES_A_TURN 256
#define TRY_AGAIN       20 /* ms, when it is not the link that is full */
#define FORGET_AT_ONCE  128

typedef struct outgoing outgoing;
struct outgoing {
    outgoing *next;
    uint8_t *message;
    size_t length;
    bool passed; /* callers' descriptors are among them */
    unsigned fds_count;
    int fds[];
};

static spawn_watch link_watch;
static const spawn_link_events *events;
static void *events_of;
static outgoing *first, **last = &first;
static spawn_timer retry_timer;

/* ---- out ---- */

static void drop(outgoing *o)
{
    if (o->passed)
        spawn_close_passed(o->fds, o->fds_count);
    else
        spawn_close_fds(o->fds, o->fds_count);
    free(o->message);
    free(o);
}

static int keep(const spawn_writer *w, const int *fds, unsigned count,
                bool passed)
{
    outgoing *o = spawn_alloc(sizeof(*o) + count * sizeof(int));

    o->passed = passed;
    o->message = malloc(w->length);
    if (!o->message) {
        free(o);
        return -ENOMEM;
    }
    memcpy(o->message, w->data, w->length);
    o->length = w->length;
    for (; o->fds_count < count; o->fds_count++) {
        int fd = fcntl(fds[o->fds_count], F_DUPFD_CLOEXEC, 3);

        if (fd < 0) {
            int error = errno;

            drop(o);
            return -error;
        }
        o->fds[o->fds_count] = fd;
    }
    *last = o;
    last = &o->next;
    return 0;
}

/* A full link tells when it takes more. When too many descriptors are on their
 * way, or the kernel has no memory, a writable link tells nothing: try again
 * later. */
static bool for_later(int rv)
{
    if (rv == -EAGAIN) {
        spawn_watch_events(&link_watch, SPAWN_IN | SPAWN_OUT);
        return true;
    }
    if (rv == -ETOOMANYREFS || rv == -ENOBUFS || rv == -ENOMEM || rv == -EMFILE
        || rv == -ENFILE) {
        spawn_timer_set(&retry_timer, spawn_mono_ms() + TRY_AGAIN);
        return true;
    }
    return false;
}

/* The end of file follows, and with it our end. Messages that were not sent are
 * told then. */
static bool has_gone(int rv)
{
    return rv == -EPIPE || rv == -ECONNRESET;
}

static void flush(void)
{
    while (first) {
        outgoing *o = first;
        int rv = spawn_packet_send(link_watch.fd, o->message, o->length, o->fds,
                                   o->fds_count);

        if (rv < 0 && (has_gone(rv) || for_later(rv)))
            return;
        if (rv < 0)
            spawn_log(SPAWN_LOG_CRIT,
                      MSNO(0520) "an order to the spawner was lost: %s",
                      strerror(-rv));
        first = o->next;
        if (!first)
            last = &first;
        drop(o);
    }
    spawn_watch_events(&link_watch, SPAWN_IN);
}

static void retry(spawn_timer *t)
{
    (void)t;
    flush();
}

static int send_or_keep(spawn_writer *w, const int *fds, unsigned count,
                        bool passed)
{
    int rv = spawn_writer_finish(w, count);

    if (rv < 0)
        return rv;
    if (first)
        return keep(w, fds, count, passed);
    rv = spawn_packet_send(link_watch.fd, w->data, w->length, fds, count);
    if (rv < 0 && (has_gone(rv) || for_later(rv)))
        return keep(w, fds, count, passed);
    return rv;
}

int spawn_link_send(spawn_writer *w, const int *fds, unsigned count)
{
    return send_or_keep(w, fds, count, false);
}

int spawn_link_send_passed(spawn_writer *w, const int *fds, unsigned count)
{
    return send_or_keep(w, fds, count, true);
}

static void not_sent(unsigned type, int rv)
{
    spawn_log_few(spawn_message_name(type), SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0521) "a %s order could not be sent: %s",
                  spawn_message_name(type), strerror(-rv));
}

void spawn_link_send_id(unsigned type, const spawn_id *id, const int *fds,
                        unsigned count)
{
    uint8_t room[64];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, (uint16_t)type, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    rv = spawn_link_send(&w, fds, count);
    if (rv < 0)
        not_sent(type, rv);
}

static void begin_signal(spawn_writer *w, uint8_t *room, size_t size,
                         const spawn_id *id, int signo)
{
    spawn_writer_init_fixed(w, room, size);
    spawn_writer_begin(w, SPAWN_M_SIGNAL, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
    spawn_put_u64(w, SPAWN_A_SIGNO, (uint64_t)signo);
}

static void send_signal(spawn_writer *w)
{
    int rv = spawn_link_send(w, NULL, 0);

    if (rv < 0)
        not_sent(SPAWN_M_SIGNAL, rv);
}

void spawn_link_signal(const spawn_id *id, int signo, unsigned left)
{
    uint8_t room[128];
    spawn_writer w;

    begin_signal(&w, room, sizeof(room), id, signo);
    if (left)
        spawn_put_u64(&w, SPAWN_A_KILL_LEFT, left);
    send_signal(&w);
}

void spawn_link_signal_process(const spawn_id *id, int signo, pid_t pid,
                               int64_t boot_started)
{
    uint8_t room[128];
    spawn_writer w;

    begin_signal(&w, room, sizeof(room), id, signo);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)boot_started);
    send_signal(&w);
}

void spawn_link_hold(const spawn_id *id, const int *fds, unsigned count)
{
    int box = spawn_box_make(fds, count);
    int rv = box;

    if (box >= 0) {
        uint8_t room[64];
        spawn_writer w;

        spawn_writer_init_fixed(&w, room, sizeof(room));
        spawn_writer_begin(&w, SPAWN_M_HOLD, 0);
        spawn_put_id(&w, SPAWN_A_ID, id);
        spawn_put_u64(&w, SPAWN_A_BOXED, count);
        rv = spawn_link_send_passed(&w, &box, 1);
        (void)close(box); /* its contents are ours too */
    }
    if (rv < 0)
        not_sent(SPAWN_M_HOLD, rv);
}

/* Ids of FORGETs that wait for the next commit. */
static spawn_id *forgotten;
static size_t forgotten_used, forgotten_room;

void spawn_link_forget(const spawn_id *id)
{
    forgotten = spawn_array_grow(forgotten, forgotten_used, &forgotten_room,
                                 sizeof(*forgotten));
    forgotten[forgotten_used++] = *id;
}

static void forget(const spawn_id *ids, size_t count)
{
    uint8_t room[FORGET_AT_ONCE * SPAWN_ID_SIZE + 64];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_FORGET, 0);
    spawn_put_bytes(&w, SPAWN_A_IDS, ids, count * sizeof(spawn_id));
    rv = spawn_link_send(&w, NULL, 0);
    if (rv < 0)
        not_sent(SPAWN_M_FORGET, rv);
}

void spawn_link_forget_all(void)
{
    size_t at, count;

    for (at = 0; at < forgotten_used; at += count) {
        count = forgotten_used - at;
        if (count > FORGET_AT_ONCE)
            count = FORGET_AT_ONCE;
        forget(forgotten + at, count);
    }
    forgotten_used = 0;
}

bool spawn_link_waiting(void)
{
    return first != NULL;
}

void spawn_link_unsent(unsigned type, void (*each)(const spawn_id *id))
{
    const outgoing *o;
    spawn_failure why;
    spawn_message m;
    spawn_id id;

    for (o = first; o; o = o->next) {
        if (spawn_message_parse(o->message, o->length,
                                SPAWN_FROM_BROKER_TO_SPAWNER, o->fds_count, &m,
                                &why)
                == 0
            && m.header.type == type && spawn_has(&m, SPAWN_A_ID)) {
            spawn_attr_id(&m.attr[SPAWN_A_ID], &id);
            each(&id);
        }
    }
}

/* ---- in ---- */

static void receive(void)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;
    int i, rv = 0;

    for (i = 0; i < MESSAGES_A_TURN; i++) {
        rv = spawn_packet_receive(link_watch.fd, buffer, sizeof(buffer), &p);
        if (rv != 1)
            break;
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_SPAWNER,
                                p.fds_count, &m, &why)
            == 0)
            events->message(events_of, &m, &p);
        else
            spawn_log_few(
                "the spawner", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                MSNO(0523) "the spawner sent what is not understood: %s",
                why.text);
        spawn_packet_close(&p);
    }
    if (rv == 1 || rv == -EAGAIN)
        return;
    if (rv < 0 && rv != -ECONNRESET)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0524) "the link to the spawner is broken: %s",
                  strerror(-rv));
    events->gone(events_of);
}

static void link_ready(spawn_watch *w, int seen)
{
    (void)w;
    if (seen & SPAWN_OUT)
        flush();
    if (seen & (SPAWN_IN | SPAWN_GONE))
        receive();
}

int spawn_link_open(const spawn_link_events *to, void *of)
{
    events = to;
    events_of = of;
    retry_timer.fire = retry;
    return spawn_watch_open(&link_watch, SPAWN_LINK_FD, SPAWN_IN, link_ready);
}
