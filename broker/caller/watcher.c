/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WATCH: a caller says what it has seen of a job, and is answered when the job
 * is another one: its state, its attempt, or what it says of its progress. Runs
 * in the broker, on checked messages. Must point at no job, and cost nothing
 * when nobody watches.
 *
 * A job writes its progress on its board and wakes nobody, so that it may do
 * that a million times a second. So the boards that are watched are looked at,
 * some times a second, all in one go. A change of the state is seen then, too.
 */
#include "broker/caller/watcher.h"

#include <stdlib.h>

#include "common/spawn_os.h"
#include "common/spawn_seen.h"
#include "broker/base/alloc.h"
#include "broker/base/timer.h"
#include "broker/job/rules.h"
#include "broker/process/perl.h"
#include "broker/caller/ask.h"
#include "broker/caller/waiter.h"

#define LOOK_EVERY 200 /* ms */

typedef struct watch watch;
struct watch {
    watch *next, **before;
    spawn_peer *peer;
    spawn_id id;
    uint64_t seen;
    int64_t until; /* mono ms */
    uint32_t seq;
    bool inside; /* its caller is let in without SpawnAccess */
};

static watch *watches;  /* all that wait */
static watch *over;     /* those that are being answered */
static unsigned count;  /* of both, */
static unsigned inside; /* and of these, those of httpd and its account */
static spawn_timer look_timer;
static uint32_t this_look;

static void put_into(watch **list, watch *w)
{
    w->next = *list;
    w->before = list;
    if (w->next)
        w->next->before = &w->next;
    *list = w;
}

static void take_out(const watch *w)
{
    *w->before = w->next;
    if (w->next)
        w->next->before = w->before;
}

static void drop(watch *w)
{
    take_out(w);
    w->peer->watches--;
    inside -= w->inside;
    count--;
    free(w);
}

static void drop_those_of(watch *list, const spawn_peer *peer)
{
    watch *next;

    for (; list; list = next) {
        next = list->next;
        if (list->peer == peer)
            drop(list);
    }
}

void spawn_watches_leave(spawn_peer *peer)
{
    if (!peer->watches)
        return;
    drop_those_of(watches, peer);
    drop_those_of(over, peer);
}

/* ---- is it another one? ---- */

/* One that is not in memory any more has ended. */
static bool is_over(const spawn_id *id)
{
    const spawn_job *job = spawn_job_find(id);

    return !job || spawn_job_over(job);
}

static uint64_t make_seen(const spawn_job *job)
{
    const char *texts[3];
    spawn_progress p;
    bool said = spawn_perl_progress(job, &p);

    texts[0] = p.done;
    texts[1] = p.of;
    texts[2] = p.text;
    return spawn_seen(job->again ? SPAWN_STATE_QUEUED
                                 : spawn_job_told_state(job),
                      job->attempt, said ? texts : NULL);
}

/* A board is read once in a look, however many watch. */
static uint64_t seen_now(const spawn_job *job)
{
    spawn_perl *perl = job->perl;

    if (!perl)
        return make_seen(job);
    if (perl->seen_in != this_look) {
        perl->seen = make_seen(job);
        perl->seen_in = this_look;
    }
    return perl->seen;
}

static bool has_changed(const spawn_id *id, uint64_t seen)
{
    return is_over(id) || seen_now(spawn_job_find(id)) != seen;
}

/* ---- looking ---- */

static void look(spawn_timer *t);

static void look_later(void)
{
    look_timer.fire = look;
    if (watches && !look_timer.place)
        spawn_timer_set(&look_timer, spawn_mono_ms() + LOOK_EVERY);
}

/* Answering may drop a peer, and with it others of the list. */
static void answer_all(void)
{
    while (over) {
        bool changed = has_changed(&over->id, over->seen);
        spawn_peer *peer = over->peer;
        uint32_t seq = over->seq;
        spawn_id id = over->id;
        spawn_failure why;

        drop(over);
        if (changed) {
            spawn_peer_ask_job(peer, seq, &id, SPAWN_OUTPUT_NONE);
            continue;
        }
        spawn_failure_set(&why, SPAWN_E_TIMED_OUT, SPAWN_STEP_NONE, 0,
                          "nothing has changed");
        spawn_peer_refuse(peer, seq, &id, &why);
    }
}

static void look(spawn_timer *t)
{
    int64_t now = spawn_mono_ms();
    watch *w = watches, *next;

    (void)t;
    if (++this_look == 0)
        this_look = 1;
    for (; w; w = next) {
        next = w->next;
        if (now < w->until && !has_changed(&w->id, w->seen))
            continue;
        take_out(w);
        put_into(&over, w);
    }
    answer_all();
    look_later();
}

/* ---- the request ---- */

static void refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                   spawn_error code, const char *text)
{
    spawn_failure why;

    spawn_failure_set(&why, code, SPAWN_STEP_CHECK, 0, "%s", text);
    spawn_peer_refuse(peer, seq, id, &why);
}

static void add(spawn_peer *peer, const spawn_message *m, const spawn_id *id,
                uint64_t seen)
{
    uint64_t wait_ms = spawn_u64_or(m, SPAWN_A_WAIT_MS, 0);
    watch *w = spawn_alloc(sizeof(*w));

    if (wait_ms > SPAWN_WAIT_MAX_MS)
        wait_ms = SPAWN_WAIT_MAX_MS;
    w->peer = peer;
    w->id = *id;
    w->seen = seen;
    w->seq = m->header.seq;
    w->until = spawn_mono_ms() + (int64_t)wait_ms;
    w->inside = peer->trusted || peer->proven;
    put_into(&watches, w);
    peer->watches++;
    inside += w->inside;
    count++;
    look_later();
}

/* Accounts of SpawnAccess must not take the places of httpd's visitors. */
static bool is_crowded(const spawn_peer *peer, uint64_t most)
{
    bool one_of_us = peer->trusted || peer->proven;
    unsigned there = one_of_us ? inside : count - inside;

    return there >= most
           || there >= (one_of_us ? SPAWN_WATCHES_MAX : SPAWN_WATCHES_OTHERS);
}

/* A job that has changed already is told at the next look, too: so a job that
 * says something all the time is counted all the time, and costs no more. */
void spawn_request_watch(spawn_peer *peer, const spawn_message *m,
                         spawn_packet *p, const spawn_id *id)
{
    uint64_t seen = spawn_attr_u64(&m->attr[SPAWN_A_SEEN]);
    uint64_t most = spawn_u64_or(m, SPAWN_A_WATCHERS, SPAWN_WATCHES_MAX);

    (void)p;
    if (is_over(id))
        spawn_peer_ask_job(peer, m->header.seq, id, SPAWN_OUTPUT_NONE);
    else if (peer->watches >= SPAWN_WATCHES_OF_ONE)
        refuse(peer, m->header.seq, id, SPAWN_E_INVALID,
               "too many requests of this connection watch jobs already: at "
               "most 64 can");
    else if (is_crowded(peer, most))
        refuse(peer, m->header.seq, id, SPAWN_E_QUEUE_FULL,
               "as many callers as may watch jobs already do");
    else
        add(peer, m, id, seen);
}
