/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request and its answers, with the connection replaced when it breaks. Runs
 * in callers, in any thread.
 *
 * Every request must be safe to send again: a submit is recognised by its id, a
 * caller that got no answer would send a signal twice anyway, and the others
 * change nothing.
 */
#include "client/exchange.h"

#include <errno.h>
#include <string.h>

#include "common/spawn_os.h"
#include "client/direct.h"

/* Between tries on connections that break as soon as they are used: a broker
 * that dies over and over must not be met by a caller that spins. */
#define BREAK_PAUSE_FIRST 1
#define BREAK_PAUSE_MOST  50

void spawn_rewrite_u64(spawn_writer *w, const spawn_attr *a, uint64_t value)
{
    uint8_t *p = w->data + (a->data - w->data);
    int i;

    for (i = 0; i < 8; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static int send_failed(int rv, spawn_failure *why)
{
    /* The kernel refuses handles when the broker takes no more of them. */
    if (rv == -EPERM)
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_SEND, EPERM,
                          "handles are not taken: those that this account "
                          "passed before do not close (a file system or "
                          "connection does not answer)");
    else
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_SEND, -rv,
                          "the request could not be sent: %s",
                          strerrordesc_np(-rv));
    return rv;
}

static int receive_failed(int rv, spawn_failure *why)
{
    if (rv == -EBADMSG)
        return rv; /* why is filled */
    if (rv == -EPROTONOSUPPORT) {
        spawn_failure_set(why, SPAWN_E_VERSION, SPAWN_STEP_RECEIVE, 0,
                          "the broker answered in another wire version");
        return rv;
    }
    spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, -rv,
                      "the answer could not be received: %s",
                      strerrordesc_np(-rv));
    return rv;
}

/* 1: the broker has to be asked. */
static int try_directly(spawn_exchange *x, spawn_connection *c,
                        spawn_answer *room, int (*more)(void *, spawn_answer *),
                        void *arg)
{
    spawn_id worker = c->worker;
    int rv = spawn_direct_call(c, x->w, x->deadline, room);

    if (rv == 0)
        return more(arg, room);
    if (rv == 1)
        return 1;
    x->sent = x->lost = true;
    x->worker = worker;
    return rv == -ETIMEDOUT ? rv : 1;
}

/* One try on one connection. -EPIPE: broken, try another. */
static int try_once(spawn_exchange *x, spawn_connection *c,
                    int (*more)(void *, spawn_answer *), void *arg,
                    spawn_failure *why)
{
    spawn_answer own, *room = x->room ? x->room : &own;
    int rv = 0;

    /* A broker that was sent it may have given it to a worker. */
    if (x->direct && !x->sent && spawn_direct_fits(c, x->direct)) {
        rv = try_directly(x, c, room, more, arg);
        if (rv <= 0)
            return rv;
    }
    x->sent_before = x->sent;
    if (x->lost)
        rv = spawn_direct_tell_lost(c, &x->worker, x->deadline);
    if (rv >= 0)
        rv = spawn_connection_send(c, x->w, x->fds, x->fds_count, x->deadline);
    if (rv == -EPIPE || rv == -ETIMEDOUT)
        return rv;
    if (rv)
        return send_failed(rv, why);
    x->sent = c->used = true;
    for (;;) {
        c->beside = x->beside;
        rv = spawn_connection_receive(c, x->deadline, x->look, room, why);
        c->beside = NULL;
        if (rv == -EPIPE || rv == -ETIMEDOUT || rv == -ECANCELED)
            return rv;
        if (rv)
            return receive_failed(rv, why);
        rv = more(arg, room);
        if (rv <= 0)
            return rv;
    }
}

/* How long to look for a connection that holds. A request may wait for a job
 * for ever, but this search is limited to the client's own time, which begins
 * anew when a connection held for that long. */
typedef struct {
    int64_t until;
    int64_t taken; /* when the last connection was taken */
    int pause;
} search;

static void search_begin(search *s, const spawn_exchange *x)
{
    int64_t now = spawn_mono_ms();

    s->taken = now;
    s->until = now + spawn_pool_endpoint(x->client)->timeout_ms;
    if (s->until > x->deadline)
        s->until = x->deadline;
    s->pause = BREAK_PAUSE_FIRST;
}

/* After a break: false when the search is over. */
static bool search_on(search *s, const spawn_exchange *x, bool fresh)
{
    int64_t now = spawn_mono_ms();

    if (now - s->taken >= spawn_pool_endpoint(x->client)->timeout_ms
        && now < x->deadline) {
        search_begin(s, x);
        return true;
    }
    if (now >= s->until)
        return false;
    if (fresh) {
        spawn_pause(s->pause, s->until);
        if (s->pause < BREAK_PAUSE_MOST)
            s->pause *= 2;
    }
    return true;
}

int spawn_exchange_many(spawn_exchange *x, int (*more)(void *, spawn_answer *),
                        void (*start)(void *), void *arg, spawn_failure *why)
{
    search s;
    bool first = true;

    search_begin(&s, x);
    for (;;) {
        spawn_connection *c;
        bool fresh;
        int rv = spawn_pool_take(x->client, s.until, &c, &fresh, why);

        if (rv == -EPIPE) {
            if (!search_on(&s, x, true))
                return rv;
            continue;
        }
        if (rv)
            return rv == -ETIMEDOUT ? -EAGAIN : rv;
        if (!first && x->again)
            x->again(x->arg);
        first = false;
        start(arg);
        if (fresh)
            s.taken = spawn_mono_ms();
        rv = try_once(x, c, more, arg, why);
        if (rv == 0) {
            spawn_pool_give(x->client, c);
            return 0;
        }
        spawn_pool_drop(x->client, c);
        if (rv != -EPIPE)
            return rv;
        if (!search_on(&s, x, fresh))
            return -ETIMEDOUT;
    }
}

static int one_answer(void *arg, spawn_answer *answer)
{
    (void)arg;
    (void)answer; /* it is where it is wanted */
    return 0;
}

void spawn_exchange_nothing(void *arg)
{
    (void)arg;
}

int spawn_exchange_run(spawn_exchange *x, spawn_answer *ret, spawn_failure *why)
{
    x->room = ret;
    return spawn_exchange_many(x, one_answer, spawn_exchange_nothing, NULL,
                               why);
}
