/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that go to a worker directly. A caller has one of them at a time. One
 * that was sent and not answered is submitted to the broker after it was told
 * that it may have been taken, or asked for by others only, when its caller
 * has gone.
 */
#include "t/simulation/direct.h"

#include <errno.h>
#include <sys/socket.h>

#include "t/simulation/body.h"

#define ANSWERS_WITHIN 1000 /* ms after the end of its broker */
#define TIMEOUT_MIN    1000
#define ARGS_MAX       60000

void direct_is_lent(caller *c, const spawn_message *m, spawn_packet *p)
{
    if (p->fds_count != 1) {
        promise_broken("a worker is lent without its socket");
        return;
    }
    if (c->waits)
        promise_broken("a caller is lent two workers at once");
    spawn_close_fds(&c->direct, 1);
    c->direct = body_world_fd(p->fds[0]);
    p->fds_count = 0;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &c->worker);
    c->lent_in = lives;
    say("caller %u is lent a worker", (unsigned)(c - callers));
}

static bool fits(const caller *c, const job *j)
{
    return c->direct >= 0 && !c->waits && !c->looks_last && j->is_call
           && !j->direct && j->claims == 0 && j->data <= ARGS_MAX
           && !job_has_rules(j)
           && (!j->timeout_ms || j->timeout_ms >= TIMEOUT_MIN);
}

bool direct_call(caller *c, job *j)
{
    spawn_writer w;
    int rv;

    if (!fits(c, j))
        return false;
    c->directly = (request){.type = SPAWN_M_SUBMIT,
                            .seq = ++c->seq,
                            .job = j,
                            .want = SPAWN_REPLY_FINISHED,
                            .asked_in = turns};
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, c->seq);
    job_write(j, &w, false);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    rv = spawn_writer_finish(&w, 0);
    if (rv == 0)
        rv = spawn_packet_send(c->direct, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    if (rv < 0) {
        spawn_close_fds(&c->direct, 1);
        return false;
    }
    say("caller %u: to its worker: %s", (unsigned)(c - callers),
        request_text(&c->directly));
    c->waits = true;
    c->broker_gone_ms = 0;
    j->direct = j->direct_open = true;
    j->direct_worker = c->worker;
    j->direct_in = c->lent_in;
    j->claims++;
    j->sends++;
    j->sent_ms = board->mono_ms;
    j->sent_turn = turns;
    return true;
}

void direct_tell_lost(const caller *c, const job *j)
{
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_LEASE_LOST, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->direct_worker);
    if (spawn_writer_finish(&w, 0) == 0)
        (void)spawn_packet_send(c->fd, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    say("caller %u: whether a worker took job %u is not known",
        (unsigned)(c - callers), job_number(j));
}

/* Its answer will not come. */
static job *is_over(caller *c)
{
    job *j = c->directly.job;

    c->waits = j->direct_open = false;
    return j;
}

static void is_lost(caller *c)
{
    spawn_close_fds(&c->direct, 1);
    is_over(c)->direct_lost = true;
}

/* The client's way: the broker knows, or finds out. */
static void asks_broker(caller *c, job *j)
{
    if (c->fd >= 0)
        caller_submits(c, j, SPAWN_REPLY_FINISHED);
    else
        c->again = j;
}

/* True: it is answered. */
static bool take(caller *c, const spawn_message *m)
{
    job *j;

    say("caller %u: from its worker: %s", (unsigned)(c - callers),
        answer_text(m));
    if (!c->waits || m->header.seq != c->directly.seq) {
        promise_broken("a worker answers what nobody asked");
        return false;
    }
    j = is_over(c);
    if (m->header.type == SPAWN_M_JOB) {
        answer_judge(&c->directly, m);
        caller_has_end(c, j);
        return true;
    }
    j->claims--; /* it was not taken */
    j->sends--;
    asks_broker(c, j);
    return true;
}

/* 1: something came and was taken; 0: nothing; -1: it has ended. */
static int receive(caller *c)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_packet p;
    int rv = spawn_packet_receive(c->direct, buffer, sizeof(buffer), &p);

    if (rv == -EAGAIN)
        return 0;
    if (rv != 1)
        return -1;
    rv = spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER, p.fds_count,
                             &m, NULL)
                     == 0
                 && take(c, &m)
             ? 1
             : -1;
    spawn_packet_close(&p);
    return rv;
}

/* An answer that has come until then counts; from here on none can be sent.
 * True: it has come. */
static bool looks_last(caller *c)
{
    int rv;

    (void)shutdown(c->direct, SHUT_RD);
    c->looks_last = true; /* a caller that has its end sends no other one now */
    rv = receive(c);
    c->looks_last = false;
    if (rv == 1)
        spawn_close_fds(&c->direct, 1);
    return rv == 1;
}

void direct_hear(caller *c)
{
    int rv = 1;

    while (c->direct >= 0 && rv == 1 && !broken)
        rv = receive(c);
    if (c->direct >= 0 && rv < 0 && !c->waits) {
        spawn_close_fds(&c->direct, 1);
    }
    else if (c->direct >= 0
             && (rv < 0
                 || (c->waits && c->broker_gone_ms
                     && board->mono_ms > c->broker_gone_ms + ANSWERS_WITHIN))) {
        job *j = c->directly.job;

        if (rv == 0 && looks_last(c))
            return;
        is_lost(c);
        asks_broker(c, j);
    }
}

void direct_gives_up(caller *c)
{
    job *j = c->directly.job;

    if (!c->waits)
        return;
    say("caller %u waits no longer for job %u", (unsigned)(c - callers),
        job_number(j));
    if (looks_last(c))
        return;
    is_lost(c);
    if (chance(50))
        asks_broker(c, j);
    else
        j->abandoned = true;
}

void direct_loses_broker(caller *c)
{
    if (c->waits)
        c->broker_gone_ms = board->mono_ms;
    else
        spawn_close_fds(&c->direct, 1);
}

void direct_is_abandoned(caller *c)
{
    if (c->waits) {
        job *j = c->directly.job;

        is_lost(c);
        j->abandoned = true;
    }
    spawn_close_fds(&c->direct, 1);
    if (c->again)
        c->again->abandoned = true;
    c->again = NULL;
    c->burst = 0;
}
