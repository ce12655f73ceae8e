/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to the relay. Runs in the broker. Must not wait for the relay, which
 * may wait for the engine; what is queued is bounded by those that send.
 */
#include "broker/relay/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"

#define MESSAGES_A_TURN 64
#define TRY_AGAIN       20 /* ms, when it is not the link that is full */

typedef struct outgoing outgoing;
struct outgoing {
    outgoing *next;
    size_t length;
    uint8_t message[];
};

static spawn_watch watch = {.fd = -1};
static const spawn_relay_events *events;
static outgoing *first, **last = &first;
static spawn_timer retry_timer;

bool spawn_relay_is_open(void)
{
    return watch.fd >= 0;
}

static void drop_all(void)
{
    while (first) {
        outgoing *o = first;

        first = o->next;
        free(o);
    }
    last = &first;
}

static void leave(void)
{
    spawn_watch_close(&watch);
    spawn_timer_clear(&retry_timer);
    drop_all();
    events->gone();
}

/* ---- out ---- */

/* Big messages are memory files, of which there may be too few. */
static bool for_later(int rv)
{
    if (rv == -EAGAIN) {
        spawn_watch_events(&watch, SPAWN_IN | SPAWN_OUT);
        return true;
    }
    if (rv == -ETOOMANYREFS || rv == -ENOBUFS || rv == -ENOMEM || rv == -EMFILE
        || rv == -ENFILE) {
        spawn_timer_set(&retry_timer, spawn_mono_ms() + TRY_AGAIN);
        return true;
    }
    return rv == -EPIPE || rv == -ECONNRESET; /* its end is read next */
}

static int send_one(const uint8_t *message, size_t length)
{
    return spawn_packet_send(watch.fd, message, length, NULL, 0);
}

/* One that cannot be sent at all is a fault that a new link does not mend. */
static void failed(int rv)
{
    spawn_log_few("the relay", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0700) "a message to the relay could not be sent: %s",
                  strerror(-rv));
}

static void flush(void)
{
    while (first) {
        outgoing *o = first;
        int rv = send_one(o->message, o->length);

        if (rv < 0 && for_later(rv))
            return;
        if (rv < 0)
            failed(rv);
        first = o->next;
        if (!first)
            last = &first;
        free(o);
    }
    spawn_watch_events(&watch, SPAWN_IN);
}

static void retry(spawn_timer *t)
{
    (void)t;
    flush();
}

static void keep(const spawn_writer *w)
{
    outgoing *o = spawn_alloc(sizeof(*o) + w->length);

    o->length = w->length;
    memcpy(o->message, w->data, w->length);
    *last = o;
    last = &o->next;
}

void spawn_relay_send(spawn_writer *w)
{
    int rv = spawn_writer_finish(w, 0);

    if (!spawn_relay_is_open())
        return;
    if (rv == 0 && !first)
        rv = send_one(w->data, w->length);
    else if (rv == 0)
        rv = -EAGAIN;
    if (rv < 0 && for_later(rv))
        keep(w);
    else if (rv < 0)
        failed(rv);
}

/* ---- in ---- */

static void receive(void)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;
    int i, rv = 0;

    for (i = 0; i < MESSAGES_A_TURN && watch.fd >= 0; i++) {
        rv = spawn_packet_receive(watch.fd, buffer, sizeof(buffer), &p);
        if (rv != 1)
            break;
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_RELAY, p.fds_count,
                                &m, &why)
            == 0)
            events->message(&m);
        else
            spawn_log_few("the relay", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                          MSNO(0701) "the relay sent what is not understood: "
                                     "%s",
                          why.text);
        spawn_packet_close(&p);
    }
    if (rv == 1 || rv == -EAGAIN)
        return;
    leave();
}

static void ready(spawn_watch *w, int seen)
{
    (void)w;
    if (seen & SPAWN_OUT)
        flush();
    if (seen & (SPAWN_IN | SPAWN_GONE))
        receive();
}

int spawn_relay_open(int fd, const spawn_relay_events *to)
{
    events = to;
    retry_timer.fire = retry;
    if (spawn_relay_is_open())
        leave();
    return spawn_watch_open(&watch, fd, SPAWN_IN, ready);
}
