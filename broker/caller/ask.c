/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions that are answered from the store, after the commit. Runs in the
 * broker.
 *
 * A list is written row by row as the caller reads, so that a long one needs no
 * memory. (The list of templates is short, and is made as a whole when it is
 * asked for.)
 *
 * A big answer is read when there is room for it: a caller has read its last
 * big answer before the next question is looked at, an account has some in its
 * sockets, and answers beyond the bytes of a turn are left for the next.
 */
#include "broker/caller/ask.h"

#include <stdlib.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/process/log_tail.h"
#include "broker/process/perl.h"
#include "broker/store/commit.h"
#include "broker/store/job_message.h"
#include "broker/store/store.h"
#include "broker/caller/access.h"

#define WRITER_KEEP  65536 /* bytes of the writer that stay for the next */
#define BYTES_A_TURN (4u << 20)
/* Bytes that a look at rows counts for, when it finds none. */
#define LOOK_WEIGHT  (256u << 10)
#define LOOK_FIRST   1   /* ms: has it read its big answer? */
#define LOOK_AT_MOST 100 /* ms */
/* Bytes of an attribute around its value, at most. */
#define ATTR_ROOM 16

struct spawn_peer_line {
    spawn_peer *first, *last;
    size_t count;
};

/* Those with questions for this turn, and those that have to read first. */
static spawn_peer_line serving, stalled;
static spawn_timer look_timer;
static int64_t look_after = LOOK_FIRST;
static size_t answered; /* bytes */

static void leave_line(spawn_peer *peer)
{
    spawn_peer_line *line = peer->line;
    spawn_peer **at, *before = NULL;

    if (!line)
        return;
    for (at = &line->first; *at != peer; at = &(*at)->line_next)
        before = *at;
    *at = peer->line_next;
    if (line->last == peer)
        line->last = before;
    line->count--;
    peer->line = NULL;
}

static void join_line(spawn_peer_line *line, spawn_peer *peer)
{
    if (peer->line == line)
        return;
    leave_line(peer);
    peer->line = line;
    peer->line_next = NULL;
    if (line->last)
        line->last->line_next = peer;
    else
        line->first = peer;
    line->last = peer;
    line->count++;
}

static void to_be_served(spawn_peer *peer)
{
    if (!peer->line)
        join_line(&serving, peer);
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

/* For somebody who looks at it: who runs it has all of its output. A big answer
 * goes without it. */
static void put_log_tail(const spawn_id *id, unsigned output, spawn_writer *w)
{
    size_t length = 0;
    const char *text = NULL;

    if (output == SPAWN_OUTPUT_WANTED)
        text = spawn_log_tail_get(id, &length);
    if (!length || w->length + length + ATTR_ROOM > w->limit)
        return;
    spawn_put_bytes(w, SPAWN_A_LOG_TAIL, text, length);
    (void)spawn_writer_finish(w, 0);
}

void spawn_peer_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                    unsigned output, const uint64_t *from)
{
    bool with_output = output != SPAWN_OUTPUT_NONE;
    const spawn_job *job = spawn_job_find(id);
    int rv;

    if (!spawn_peer_open(peer))
        return;
    writer_ready();
    rv = job
                 && (spawn_job_unstored(job) || spawn_job_kept(job)
                     || (job->state != SPAWN_STATE_DONE
                         && spawn_perl_has_returned(job)))
             ? spawn_answer_job(job, with_output, from, seq, &writer)
             : spawn_store_answer(peer->batch->store, id, with_output, from,
                                  seq, &writer);
    if (rv == 1 && writer.error == 0)
        put_log_tail(id, output, &writer);
    if (rv == 1 && writer.error == 0) {
        answered += writer.length;
        spawn_peer_send_end(peer, &writer,
                            output == SPAWN_OUTPUT_RUN ? id : NULL);
    }
    else
        refuse_answer(peer, seq, id, rv);
    writer_ready();
}

/* Without rows they are only counted. */
static bool counts_dead(const spawn_ask *ask)
{
    return ask->list && ask->filter.states == SPAWN_STATES_DEAD && ask->counts
           && ask->rows == 0 && ask->sent == 0;
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
    if (counts_dead(ask))
        spawn_put_u64(&w, SPAWN_A_DEAD,
                      spawn_store_count_dead(peer->batch->store, &ask->filter));
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

/* The list asks for the jobs of a queue that does not exist. */
static bool of_no_queue(const spawn_peer *peer, const spawn_ask *ask,
                        spawn_failure *why)
{
    return ask->filter.queue[0] && ask->sent == 0 && ask->from_start
           && !spawn_access_queue(peer, ask->filter.queue, why);
}

/* One row; true when the list is at its end. The row after the last wanted one
 * is read too, to know whether there are more. */
static bool list_row(spawn_peer *peer, spawn_ask *ask)
{
    spawn_list_filter next = ask->filter;
    spawn_failure why;
    int rv;

    if (counts_dead(ask)) {
        end_list(peer, ask, false);
        return true;
    }
    writer_ready();
    rv = spawn_store_answer_list(peer->batch->store, &next, ask->seq, &writer);
    if (rv == 2) {
        ask->filter = next;
        answered += next.read + LOOK_WEIGHT;
        if (ask->looks && next.looked >= ask->looks) {
            end_list(peer, ask, true);
            return true;
        }
        ask->rests = true;
        return false;
    }
    if (rv == 0 && of_no_queue(peer, ask, &why)) {
        spawn_peer_refuse(peer, ask->seq, NULL, &why);
        return true;
    }
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
        answered += next.read > writer.length ? next.read : writer.length;
        spawn_peer_send(peer, &writer);
    }
    return false;
}

/* One row; true at the end. */
static bool made_row(spawn_peer *peer, spawn_ask *ask)
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
    spawn_failure why;

    if (ask->rows_there)
        return made_row(peer, ask);
    if (ask->list)
        return list_row(peer, ask);
    if (ask->to_see
        && spawn_access_check_job(peer, &ask->id, SPAWN_MAY_SEE, &why)) {
        spawn_peer_refuse(peer, ask->seq, &ask->id, &why);
        return true;
    }
    if (ask->wait && ask->wait(peer, ask))
        return true;
    spawn_peer_job(peer, ask->seq, &ask->id, ask->output,
                   ask->so_far ? ask->from : NULL);
    return true;
}

/* Something tells the next broker of it, or the store does not take it for now:
 * a call that waits for a worker then is in memory only. */
static bool is_kept(const spawn_job *job)
{
    return job->launched || (job->slot && !job->lent)
           || (!job->slot && spawn_commit_failing(job->batch->store));
}

/* A new durable job is known when it is on the disk, also when one that
 * replaces it had it stored before that; or when its end is stored. */
static bool waits_for_ledger(const spawn_job *job)
{
    return job->ledger == SPAWN_IN_LEDGER_ASKED && !job->ask_again
           && job->attempt == 1
           && (job->state == SPAWN_STATE_QUEUED
               || (job->in_store && job->store_error));
}

/* The store answers, and the job is not there yet: there was no room for it in
 * this turn, or it came after the question, and nothing keeps it before it is
 * launched or stored. */
static bool too_early(const spawn_ask *ask)
{
    spawn_job *job =
        ask->list || ask->rows_there ? NULL : spawn_job_find(&ask->id);

    if (job && waits_for_ledger(job))
        return true;
    if (!job || job->in_store || spawn_job_kept(job))
        return false;
    if (!spawn_job_unstored(job))
        return true;
    if (is_kept(job))
        return false;
    spawn_job_store_now(job);
    spawn_loop_again();
    return true;
}

/* ---- room ---- */

static bool has_read(spawn_peer *peer)
{
    if (peer->unread_answer && spawn_unread_is_read(peer->unread_answer))
        peer->unread_answer = NULL;
    return !peer->unread_answer
           && !(peer->listed && spawn_unread_too_many(peer->uid));
}

bool spawn_peer_has_room(spawn_peer *peer)
{
    return !peer->out && answered < BYTES_A_TURN && has_read(peer);
}

static void look_again(spawn_timer *t);

static void look_soon(void)
{
    look_timer.fire = look_again;
    if (!look_timer.place)
        spawn_timer_set(&look_timer, spawn_mono_ms() + look_after);
}

/* No descriptor tells that the other end has read all. */
static void look_again(spawn_timer *t)
{
    spawn_peer *peer = stalled.first, *next;
    bool any = false;

    (void)t;
    for (; peer; peer = next) {
        next = peer->line_next;
        if (!has_read(peer))
            continue;
        any = true;
        join_line(&serving, peer); /* at the end of this turn */
    }
    look_after = any ? LOOK_FIRST : look_after * 2;
    if (look_after > LOOK_AT_MOST)
        look_after = LOOK_AT_MOST;
    if (stalled.first)
        look_soon();
}

/* False: it waits. */
static bool make_room(spawn_peer *peer)
{
    if (answered >= BYTES_A_TURN) {
        to_be_served(peer);
        spawn_loop_again();
        return false;
    }
    if (has_read(peer))
        return true;
    if (!stalled.first)
        look_after = LOOK_FIRST;
    join_line(&stalled, peer);
    look_soon();
    return false;
}

void spawn_peer_serve(spawn_peer *peer)
{
    while (spawn_peer_open(peer) && peer->asks && !peer->out) {
        bool last;

        if (!make_room(peer))
            break;
        if (too_early(peer->asks)) {
            to_be_served(peer);
            break;
        }
        peer->asks->rests = false;
        last = answer(peer, peer->asks);
        if (!last && spawn_peer_open(peer) && peer->asks->rests) {
            to_be_served(peer);
            spawn_loop_again();
            break;
        }
        if (last && spawn_peer_open(peer))
            drop_ask(peer);
    }
    if (spawn_peer_open(peer))
        spawn_peer_watch_what(peer);
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
    spawn_peer_watch_what(peer);
    to_be_served(peer);
}

spawn_ask *spawn_ask_of_job(uint32_t seq, const spawn_id *id, unsigned output)
{
    spawn_ask *ask = spawn_alloc(sizeof(*ask));
    spawn_job *job = spawn_job_find(id);

    if (job)
        spawn_job_store_now(job); /* the store answers */
    ask->seq = seq;
    ask->id = *id;
    ask->output = (uint8_t)output;
    ask->to_see = true;
    return ask;
}

void spawn_peer_ask_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                        unsigned output)
{
    spawn_peer_ask(peer, spawn_ask_of_job(seq, id, output));
}

void spawn_peers_serve(void)
{
    size_t left = serving.count;

    answered = 0; /* answers to waiters do not hold these up for ever */
    while (left-- > 0 && serving.first && answered < BYTES_A_TURN) {
        spawn_peer *peer = serving.first;

        leave_line(peer);
        spawn_peer_serve(peer);
    }
    if (serving.first && answered >= BYTES_A_TURN)
        spawn_loop_again();
    answered = 0;
    writer_ready();
}

void spawn_peer_drop_asks(spawn_peer *peer)
{
    leave_line(peer);
    while (peer->asks)
        drop_ask(peer);
}
