/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers' connections: packets in, answers out. Runs in the broker. Must never
 * wait for a caller.
 *
 * An answer that the socket does not take waits here. While answers or
 * questions wait, or are owed, the caller is not read: a caller that asks and
 * does not listen holds up only itself. Of answers that come by themselves
 * (jobs that it waited for) only one waits here, and the others become
 * questions; short refusals there may be as many as requests can wait.
 */
#include "broker/caller/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/passed.h"
#include "broker/job/changes.h"
#include "broker/store/store.h"
#include "broker/caller/courtesy.h"

#define OUT_MESSAGES    (SPAWN_WAITERS_MAX + 64)
#define OUT_BYTES       (1u << 20)
#define TRY_AGAIN       20 /* ms, when it is not the socket that is full */
#define MESSAGES_A_TURN 16 /* of one caller */
#define BYTES_A_TURN    (4u << 20) /* of all */

struct spawn_answer_out {
    spawn_answer_out *next;
    size_t length;
    spawn_id run; /* the job whose output reaches its caller by this answer */
    bool delivers;
    uint8_t data[];
};

static const spawn_peer_events *events;
static spawn_peer *peers; /* that are watched */

/* The messages that a turn reads stay in memory until its end. When that is
 * enough, the other callers are read in the next turns, in the order in which
 * they came. */
static struct {
    size_t bytes; /* in this turn */
    spawn_peer *first, *last;
    spawn_timer timer; /* for the next turn */
} reading;

void spawn_peers_open(const spawn_peer_events *to)
{
    events = to;
}

spawn_peer *spawn_peer_new(int fd, spawn_batch *batch)
{
    spawn_peer *peer = spawn_alloc(sizeof(*peer));

    peer->batch = batch;
    peer->asks_last = &peer->asks;
    peer->out_last = &peer->out;
    (void)spawn_os_pass_descriptors(fd, false); /* before HELLO */
    if (spawn_os_peer(fd, &peer->pid, &peer->uid, NULL) < 0)
        peer->uid = (uid_t)-1;
    peer->trusted = spawn_conf_is_trusted(peer->uid);
    peer->watch.fd = -1;
    return peer;
}

static void ready(spawn_watch *w, int seen);

int spawn_peer_watch(spawn_peer *peer, int fd)
{
    int rv = spawn_watch_open(&peer->watch, fd, SPAWN_IN, ready);

    if (rv < 0)
        return rv;
    peer->all_next = peers;
    peer->all_before = &peers;
    if (peers)
        peers->all_before = &peer->all_next;
    peers = peer;
    return rv;
}

void spawn_peer_free(spawn_peer *peer)
{
    free(peer->rights);
    free(peer);
}

spawn_peer *spawn_peer_next(const spawn_peer *peer)
{
    return peer ? peer->all_next : peers;
}

void spawn_peer_watch_what(spawn_peer *peer)
{
    int wanted = peer->out && !peer->retry.place ? SPAWN_OUT : 0;

    if (!peer->asks && peer->out_count + peer->owed_count < SPAWN_PEER_OUT_PAUSE
        && !peer->unread && !peer->later)
        wanted |= SPAWN_IN;
    spawn_watch_events(&peer->watch, wanted);
}

static void read_later(spawn_peer *peer)
{
    peer->later = true;
    peer->read_next = NULL;
    if (reading.last)
        reading.last->read_next = peer;
    else
        reading.first = peer;
    reading.last = peer;
    spawn_peer_watch_what(peer);
}

static void read_no_more(spawn_peer *peer)
{
    spawn_peer **at = &reading.first, *before = NULL;

    if (!peer->later)
        return;
    for (; *at != peer; at = &(*at)->read_next)
        before = *at;
    *at = peer->read_next;
    if (reading.last == peer)
        reading.last = before;
    peer->later = false;
}

static void drop_first(spawn_peer *peer)
{
    spawn_answer_out *o = peer->out;

    peer->out = o->next;
    if (!peer->out)
        peer->out_last = &peer->out;
    peer->out_count--;
    peer->out_bytes -= o->length;
    free(o);
}

void spawn_peer_close(spawn_peer *peer)
{
    if (!spawn_peer_open(peer))
        return;
    events->closed(peer);
    read_no_more(peer);
    spawn_timer_clear(&peer->hello);
    spawn_timer_clear(&peer->relief);
    spawn_timer_clear(&peer->retry);
    if (peer->unread_answer)
        spawn_unread_leave(peer->unread_answer);
    peer->unread_answer = NULL;
    while (peer->out)
        drop_first(peer);
    *peer->all_before = peer->all_next;
    if (peer->all_next)
        peer->all_next->all_before = peer->all_before;
    free(peer->rights);
    peer->rights = NULL; /* it may nothing any more */
    peer->may = 0;
    spawn_watch_give_away(&peer->watch, peer->uid);
    spawn_free_later(peer);
}

static void keep(spawn_peer *peer, const spawn_writer *w, const spawn_id *run)
{
    spawn_answer_out *o;

    if (peer->out
        && (peer->out_count >= OUT_MESSAGES
            || peer->out_bytes + w->length > OUT_BYTES))
        o = NULL;
    else
        o = malloc(sizeof(*o) + w->length);
    if (!o) {
        spawn_log_few(spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW,
                      SPAWN_LOG_WARN,
                      MSNO(0550) "a caller (pid %d, uid %d) does not read its "
                                 "answers and was dropped",
                      (int)peer->pid, (int)peer->uid);
        spawn_peer_close(peer);
        return;
    }
    o->next = NULL;
    o->length = w->length;
    o->delivers = run != NULL;
    if (run)
        o->run = *run;
    memcpy(o->data, w->data, w->length);
    *peer->out_last = o;
    peer->out_last = &o->next;
    peer->out_count++;
    peer->out_bytes += w->length;
    spawn_peer_watch_what(peer);
}

/* The caller of a run has the answer, or will have it whatever happens here:
 * the answer is in its socket. */
static void has_run(const spawn_peer *peer, const spawn_id *run, size_t bytes)
{
    spawn_job *job = spawn_job_find(run);

    if (job && (spawn_job_unstored(job) || job->state != SPAWN_STATE_DONE))
        job->delivered = true; /* its end is not in the store yet */
    else
        spawn_store_delivered(peer->batch->store, run, bytes);
}

/* Neither memory nor descriptors for it now: not the caller's fault. */
static bool is_short(int rv)
{
    return rv == -ENOBUFS || rv == -ENOMEM || rv == -ETOOMANYREFS
           || rv == -EMFILE || rv == -ENFILE;
}

/* waits: here, since the socket does not take it. */
static void note_big(spawn_peer *peer, size_t length, bool waits)
{
    if (!spawn_packet_is_big(length))
        return;
    if (!peer->unread_answer)
        peer->unread_answer =
            spawn_unread_add(peer->watch.fd, peer->uid, peer->listed, length);
    spawn_unread_waits(peer->unread_answer, waits);
}

/* A small one must not make a big one before it look unread. */
static int send_answer(const spawn_peer *peer, const uint8_t *data,
                       size_t length)
{
    spawn_unread *u = spawn_packet_is_big(length) ? NULL : peer->unread_answer;
    int before = u ? spawn_unread_memory(u) : 0;
    int rv = spawn_packet_send(peer->watch.fd, data, length, NULL, 0);

    if (rv == 0 && u)
        spawn_unread_behind(u, before);
    return rv;
}

void spawn_peer_send_end(spawn_peer *peer, const spawn_writer *w,
                         const spawn_id *run)
{
    int rv = -EAGAIN;

    if (!spawn_peer_open(peer))
        return;
    if (!peer->out)
        rv = send_answer(peer, w->data, w->length);
    if (rv == 0) {
        spawn_courtesy_answered();
        note_big(peer, w->length, false);
        if (run)
            has_run(peer, run, w->length);
        return;
    }
    if (rv != -EAGAIN && !is_short(rv)) {
        spawn_peer_close(peer);
        return;
    }
    note_big(peer, w->length, true);
    keep(peer, w, run);
}

void spawn_peer_send(spawn_peer *peer, const spawn_writer *w)
{
    spawn_peer_send_end(peer, w, NULL);
}

/* ---- small answers ---- */

void spawn_peer_accepted(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                         unsigned state)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ACCEPTED, seq);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_STATE, state);
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

void spawn_peer_kept(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                     const spawn_id *other, unsigned state)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ACCEPTED, seq);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_STATE, state);
    spawn_put_id(&w, SPAWN_A_OTHER, other);
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

void spawn_peer_done(spawn_peer *peer, uint32_t seq, const spawn_id *id)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_DONE, seq);
    spawn_put_id(&w, SPAWN_A_ID, id);
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

void spawn_peer_refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why)
{
    uint8_t room[512];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_REFUSED, seq);
    spawn_put_u64(&w, SPAWN_A_CODE, why->code);
    spawn_put_u64(&w, SPAWN_A_STEP, why->step);
    spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)why->error);
    spawn_put_str(&w, SPAWN_A_TEXT, why->text);
    if (id)
        spawn_put_id(&w, SPAWN_A_ID, id);
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

static void flush(spawn_peer *peer);

static void try_again(spawn_timer *t)
{
    flush(SPAWN_OWNER(t, spawn_peer, retry));
}

/* The socket is writable all the time. */
static void flush_later(spawn_peer *peer)
{
    peer->retry.fire = try_again;
    spawn_timer_set(&peer->retry, spawn_mono_ms() + TRY_AGAIN);
    spawn_peer_watch_what(peer);
}

static void flush(spawn_peer *peer)
{
    while (peer->out) {
        int rv = send_answer(peer, peer->out->data, peer->out->length);

        if (rv == -EAGAIN) {
            spawn_peer_watch_what(peer); /* it was tried again later */
            return;
        }
        if (is_short(rv)) {
            flush_later(peer);
            return;
        }
        if (rv < 0) {
            spawn_peer_close(peer);
            return;
        }
        note_big(peer, peer->out->length, false);
        if (peer->out->delivers)
            has_run(peer, &peer->out->run, peer->out->length);
        drop_first(peer);
    }
    events->writable(peer);
}

/* ---- in ---- */

static void receive(spawn_peer *peer)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    bool big = false;
    spawn_packet p;
    int i, rv;

    for (i = 0; i < MESSAGES_A_TURN && !big && reading.bytes < BYTES_A_TURN;
         i++) {
        if (!spawn_peer_open(peer) || !(peer->watch.events & SPAWN_IN))
            return;
        spawn_passed_by(peer->uid);
        rv = spawn_packet_receive(peer->watch.fd, buffer, sizeof(buffer), &p);
        if (rv == -EAGAIN)
            return;
        if (rv == 1) {
            big = p.map != NULL;
            reading.bytes += p.length;
            events->packet(peer, &p);
            spawn_packet_close(&p);
        }
        else if (rv == -EBADMSG || rv == -EMSGSIZE || rv == -EMFILE) {
            events->bad_packet(peer, buffer, rv);
        }
        else {
            spawn_peer_close(peer);
        }
    }
}

/* The first of them, as long as there is room. */
static void read_on(spawn_timer *t)
{
    (void)t;
    while (reading.first && reading.bytes < BYTES_A_TURN) {
        spawn_peer *peer = reading.first;

        read_no_more(peer);
        spawn_peer_watch_what(peer);
        receive(peer);
    }
    spawn_passed_by(geteuid());
}

void spawn_peers_turn_over(void)
{
    reading.bytes = 0;
    if (!reading.first)
        return;
    reading.timer.fire = read_on;
    spawn_timer_set(&reading.timer, spawn_mono_ms());
}

static void ready(spawn_watch *w, int seen)
{
    spawn_peer *peer = SPAWN_OWNER(w, spawn_peer, watch);

    if (seen & SPAWN_OUT)
        flush(peer);
    if (spawn_peer_open(peer) && (seen & (SPAWN_IN | SPAWN_GONE))) {
        if (!(w->events & SPAWN_IN)) {
            if ((seen & SPAWN_GONE) && !peer->later)
                spawn_peer_close(peer);
        }
        else if (reading.first || reading.bytes >= BYTES_A_TURN) {
            read_later(peer);
        }
        else {
            receive(peer);
            spawn_passed_by(geteuid());
        }
    }
}
