/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to callers. Runs in the broker.
 *
 * An answer that the socket does not take waits here. A list is written row by
 * row as the caller reads, so that a long one needs no memory (that of
 * templates is of one moment, and short). While answers or questions wait, the
 * caller is not read: who asks and does not listen holds up only itself. Only
 * answers that come by themselves (jobs that it waited for) can go over the
 * bound; then it is dropped.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "broker/base/alloc.h"
#include "broker/store/job_message.h"
#include "broker/caller/ask.h"
#include "broker/process/perl.h"
#include "broker/turn.h"

#define OUT_PAUSE    16 /* answers waiting: read and list no more */
#define OUT_MESSAGES 64
#define OUT_BYTES    (1u << 20)
#define WRITER_KEEP  65536 /* bytes of the writer that stay for the next */

struct spawn_answer_out {
    spawn_answer_out *next;
    size_t length;
    spawn_id run; /* the job whose caller has its output by this one */
    bool delivers;
    uint8_t data[];
};

static spawn_peer *serving, **serving_last = &serving;

void spawn_peer_events(spawn_peer *peer)
{
    int events = peer->out ? SPAWN_OUT : 0;

    if (!peer->asks && peer->out_count < OUT_PAUSE && !peer->unread)
        events |= SPAWN_IN;
    spawn_watch_events(&peer->watch, events);
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
    spawn_peer_events(peer);
}

static bool answered;

void spawn_peers_go_first(void)
{
    if (answered)
        (void)sched_yield();
    answered = false;
}

/* The caller of a run has the answer, or will have it whatever happens here: it
 * is in its socket. */
static void has_run(const spawn_id *run, size_t bytes)
{
    spawn_job *job = spawn_job_find(run);

    if (job && (job->light || job->state != SPAWN_STATE_DONE))
        job->delivered = true; /* its end is not in the store yet */
    else
        spawn_store_delivered(run, bytes);
}

/* run: the job that was run by who gets this; NULL: none. */
static void send_answer(spawn_peer *peer, const spawn_writer *w,
                        const spawn_id *run)
{
    int rv = -EAGAIN;

    if (!spawn_peer_open(peer))
        return;
    if (!peer->out)
        rv = spawn_packet_send(peer->watch.fd, w->data, w->length, NULL, 0);
    if (rv == 0) {
        answered = true;
        if (run)
            has_run(run, w->length);
        return;
    }
    if (rv == -EAGAIN || rv == -ENOBUFS || rv == -ENOMEM || rv == -ETOOMANYREFS
        || rv == -EMFILE || rv == -ENFILE)
        keep(peer, w, run);
    else
        spawn_peer_close(peer);
}

void spawn_peer_send(spawn_peer *peer, const spawn_writer *w)
{
    send_answer(peer, w, NULL);
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

static void drop_ask(spawn_peer *peer)
{
    spawn_ask *ask = peer->asks;

    peer->asks = ask->next;
    if (!peer->asks)
        peer->asks_last = &peer->asks;
    spawn_rows_free(ask->told);
    free(ask);
}

void spawn_peer_out_drop(spawn_peer *peer)
{
    while (peer->out)
        drop_first(peer);
    while (peer->asks)
        drop_ask(peer);
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

/* ---- answers from the store ---- */

static spawn_writer writer;

static void writer_ready(void)
{
    if (writer.room > WRITER_KEEP)
        spawn_writer_free(&writer);
    if (!writer.data)
        spawn_writer_init(&writer, SPAWN_ANSWER_MAX + SPAWN_WIRE_HEADER);
}

static void refuse_answer(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                          int rv)
{
    char id_text[SPAWN_ID_TEXT];
    spawn_failure why;

    if (rv < 0)
        spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store could not be read");
    else if (rv > 0)
        spawn_failure_set(&why, SPAWN_E_TOO_BIG, SPAWN_STEP_NONE, 0,
                          "the answer is too big");
    else
        spawn_failure_set(&why, SPAWN_E_NO_SUCH_JOB, SPAWN_STEP_NONE, 0,
                          "no job with this id is known: %s",
                          spawn_id_format(id, id_text));
    spawn_peer_refuse(peer, seq, id, &why);
}

void spawn_peer_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                    unsigned output)
{
    bool with_output = output != SPAWN_OUTPUT_NONE;
    const spawn_job *job = spawn_job_find(id);
    int rv;

    if (!spawn_peer_open(peer))
        return;
    writer_ready();
    rv = job
                 && (job->light
                     || (job->state != SPAWN_STATE_DONE
                         && spawn_perl_has_returned(job)))
             ? spawn_answer_job(job, with_output, seq, &writer)
             : spawn_store_answer(id, with_output, seq, &writer);
    if (rv == 1 && writer.error == 0)
        send_answer(peer, &writer, output == SPAWN_OUTPUT_RUN ? id : NULL);
    else
        refuse_answer(peer, seq, id, rv);
    writer_ready();
}

static void end_list(spawn_peer *peer, const spawn_ask *ask, bool more)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_END, ask->seq);
    spawn_put_u64(&w, SPAWN_A_ROWS, ask->sent);
    if (more)
        spawn_put_u64(&w, SPAWN_A_BEFORE, (uint64_t)ask->filter.before);
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

/* One row; true when the list is at its end. The row after the last one that
 * is wanted is read too, to know whether there is one. */
static bool list_row(spawn_peer *peer, spawn_ask *ask)
{
    spawn_list_filter next = ask->filter;
    int rv;

    writer_ready();
    rv = spawn_store_answer_list(&next, ask->seq, &writer);
    if (rv < 0) {
        refuse_answer(peer, ask->seq, NULL, rv);
        return true;
    }
    if (rv == 0 || ask->rows == 0) {
        end_list(peer, ask, rv == 1);
        return true;
    }
    ask->filter = next;
    ask->rows--;
    if (writer.error == 0) {
        ask->sent++;
        spawn_peer_send(peer, &writer);
    }
    return false;
}

/* One row; true at the end. */
static bool process_row(spawn_peer *peer, spawn_ask *ask)
{
    spawn_row *row = ask->told;
    spawn_writer w;

    if (!row) {
        end_list(peer, ask, false);
        return true;
    }
    ask->told = row->next;
    row->next = NULL;
    ask->sent++;
    spawn_writer_init_fixed(&w, row->data, row->length);
    w.length = row->length;
    spawn_peer_send(peer, &w);
    spawn_rows_free(row);
    return false;
}

/* One message of the answer; true when it was the last. */
static bool answer(spawn_peer *peer, spawn_ask *ask)
{
    if (ask->templates)
        return process_row(peer, ask);
    if (ask->list)
        return list_row(peer, ask);
    spawn_peer_job(peer, ask->seq, &ask->id, ask->output);
    return true;
}

static void to_be_served(spawn_peer *peer)
{
    if (peer->serving)
        return;
    peer->serving = true;
    peer->serve_next = NULL;
    *serving_last = peer;
    serving_last = &peer->serve_next;
}

/* It is the store that answers, and the job is not there yet: there was no room
 * for it in this turn. */
static bool too_early(const spawn_ask *ask)
{
    const spawn_job *job =
        ask->list || ask->templates ? NULL : spawn_job_find(&ask->id);

    return job && job->is_new && !job->light;
}

static void serve(spawn_peer *peer)
{
    while (spawn_peer_open(peer) && peer->asks && peer->out_count < OUT_PAUSE) {
        bool last;

        if (too_early(peer->asks)) {
            to_be_served(peer);
            break;
        }
        last = answer(peer, peer->asks);
        if (last && spawn_peer_open(peer))
            drop_ask(peer);
    }
    if (spawn_peer_open(peer))
        spawn_peer_events(peer);
}

void spawn_peer_ask(spawn_peer *peer, spawn_ask *ask)
{
    if (!spawn_peer_open(peer)) {
        spawn_rows_free(ask->told);
        free(ask);
        return;
    }
    ask->next = NULL;
    *peer->asks_last = ask;
    peer->asks_last = &ask->next;
    spawn_peer_events(peer);
    to_be_served(peer);
}

void spawn_peers_serve(void)
{
    spawn_peer *list = serving;

    serving = NULL;
    serving_last = &serving;
    while (list) {
        spawn_peer *peer = list;

        list = peer->serve_next;
        peer->serving = false;
        serve(peer);
    }
    writer_ready();
}

void spawn_peer_flush(spawn_peer *peer)
{
    while (peer->out) {
        int rv = spawn_packet_send(peer->watch.fd, peer->out->data,
                                   peer->out->length, NULL, 0);

        if (rv == -EAGAIN)
            return;
        if (rv < 0) {
            spawn_peer_close(peer);
            return;
        }
        if (peer->out->delivers)
            has_run(&peer->out->run, peer->out->length);
        drop_first(peer);
    }
    serve(peer);
}
