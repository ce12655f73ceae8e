/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared jobs at the host that runs them. Runs in the broker. Must not run a
 * job twice that comes twice, nor acknowledge one before the store has it. An
 * end stays untold in the store until the engine has the news of it.
 */
#include "broker/relay/taking.h"

#include <string.h>

#include "common/spawn_log.h"
#include "broker/base/array.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/job/changes.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/share.h"
#include "broker/job/state.h"
#include "broker/store/store.h"
#include "broker/caller/submit.h"
#include "broker/relay/link.h"
#include "broker/relay/load.h"
#include "broker/relay/origin.h"

#define ENDS_ON_WAY 64

static spawn_batch *batch;
static bool sweeping;    /* the store may have ends that are not told */
static int64_t swept_to; /* seq */
static unsigned ends_on_way;

/* Whose end the engine has, which the store does not know yet. */
static spawn_id *carried;
static size_t carried_used, carried_room;

/* ---- news ---- */

static void send_news(const spawn_id *id, unsigned attempt, const char *origin,
                      unsigned state)
{
    spawn_writer answer;

    spawn_writer_init(&answer, spawn_message_max(SPAWN_M_JOB));
    if (spawn_store_answer(batch->store, id, state == SPAWN_STATE_DONE, NULL, 0,
                           &answer)
        == 1)
        spawn_load_send_news(id, attempt, origin, state, &answer);
    spawn_writer_free(&answer);
}

static void send_end(spawn_job *job)
{
    if (ends_on_way >= ENDS_ON_WAY) { /* it is found there later */
        sweeping = true;
        swept_to = 0;
        return;
    }
    ends_on_way++;
    job->share->told_end = true;
    send_news(&job->id, job->attempt, job->share->host, SPAWN_STATE_DONE);
}

void spawn_shared_stored(spawn_job *job)
{
    spawn_share *share = job->share;

    if (!share)
        return;
    if (share->delivery)
        spawn_delivery_kept(share->delivery, 0);
    share->delivery = 0;
    if (share->role != SPAWN_SHARE_TAKEN || !spawn_shares.open || !batch)
        return;
    if (spawn_job_over(job) && !share->told_end) {
        send_end(job);
    }
    else if (job->state == SPAWN_STATE_RUNNING && !share->told_start) {
        share->told_start = true;
        send_news(&job->id, job->attempt, share->host, SPAWN_STATE_RUNNING);
    }
}

void spawn_taking_carried(const spawn_id *id)
{
    if (ends_on_way > 0)
        ends_on_way--;
    carried = spawn_array_grow(carried, carried_used, &carried_room,
                               sizeof(*carried));
    carried[carried_used++] = *id;
}

/* What is not noted is told again to the origin, which has it. */
static void note_carried(void)
{
    spawn_store *store = batch->store;
    size_t i;
    int rv;

    if (carried_used == 0)
        return;
    rv = spawn_store_begin(store);
    for (i = 0; i < carried_used && rv == 0; i++)
        rv = spawn_store_share_told(store, &carried[i]);
    if (rv || spawn_store_commit(store))
        spawn_store_rollback(store);
    carried_used = 0;
}

static void sweep(void)
{
    spawn_untold u;

    while (sweeping && ends_on_way < ENDS_ON_WAY) {
        if (spawn_store_share_untold(batch->store, swept_to, &u) != 1) {
            sweeping = false;
            return;
        }
        swept_to = u.seq;
        ends_on_way++;
        send_news(&u.id, u.attempt, u.host, SPAWN_STATE_DONE);
    }
}

/* ---- places ---- */

static uint64_t room_of(const spawn_queue *q)
{
    const spawn_lane *lane;
    uint64_t taken = q->busy;

    for (lane = q->lanes; lane; lane = lane->next)
        taken += lane->away ? 0 : lane->count;
    if (!q->configured || spawn_queue_paused(q) || spawn_queue_drained(q)
        || !spawn_phase_launching() || taken >= q->max_jobs)
        return 0;
    return q->max_jobs - taken;
}

static void tell_room(void)
{
    uint8_t space[256];
    spawn_queue *q;
    spawn_writer w;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        int64_t room = q->shared ? (int64_t)room_of(q) : 0;

        if (room == q->room_told || (!q->shared && q->room_told <= 0))
            continue;
        q->room_told = room;
        spawn_writer_init_fixed(&w, space, sizeof(space));
        spawn_writer_begin(&w, SPAWN_M_ROOM, 0);
        spawn_put_str(&w, SPAWN_A_QUEUE, q->name);
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, (uint64_t)room);
        spawn_relay_send(&w);
    }
}

void spawn_taking_begin(spawn_batch *of)
{
    spawn_queue *q;
    spawn_job *job;

    batch = of;
    ends_on_way = 0;
    sweeping = true;
    swept_to = 0;
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q))
        q->room_told = -1;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (!job->share)
            continue;
        job->share->told_start = job->share->told_end = false;
        if (job->share->role == SPAWN_SHARE_TAKEN
            && job->state == SPAWN_STATE_RUNNING)
            spawn_job_changed(job);
    }
    spawn_loop_again();
}

void spawn_taking_turn(void)
{
    if (!batch)
        return;
    note_carried();
    if (!spawn_shares.open)
        return;
    sweep();
    tell_room();
}

/* ---- jobs that come ---- */

static void drop(uint64_t delivery, const char *why)
{
    spawn_log_few("other hosts", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0705) "a job of a shared queue is dropped, and its "
                             "origin is not told: %s",
                  why);
    spawn_delivery_kept(delivery, 0);
}

/* It was handed over, and comes back to its origin: it waits for a place here,
 * and is like any other job from then on. */
static void come_home(spawn_job *job, uint64_t delivery)
{
    if (!job || !spawn_job_away(job) || job->state != SPAWN_STATE_STARTING) {
        spawn_delivery_kept(delivery, 0);
        return;
    }
    spawn_share_on_way(job, false);
    job->queue->away--; /* its state follows from the counts of its role */
    job->queue->busy++;
    job->share->role = SPAWN_SHARE_HOME;
    job->launch = false;
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_delivery_of(job, delivery);
    spawn_job_changed(job);
}

/* The store may not have it yet. */
static void known(const spawn_id *id, uint64_t delivery)
{
    spawn_job *job = spawn_job_find(id);

    if (job && job->share && job->due != SPAWN_DUE_NOT)
        spawn_delivery_of(job, delivery);
    else
        spawn_delivery_kept(delivery, 0);
}

static void submit(const spawn_message *m, uint64_t delivery, const void *data,
                   size_t length)
{
    const char *origin = spawn_attr_str(&m->attr[SPAWN_A_HOST]);
    spawn_failure why;
    spawn_writer w;
    spawn_job *job;
    spawn_id id;
    int rv = SPAWN_OWN_REFUSED;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    spawn_failure_set(&why, SPAWN_E_TOO_BIG, SPAWN_STEP_CHECK, 0, "too big");
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_SUBMIT));
    if (spawn_load_submit((const uint8_t *)data + SPAWN_WIRE_HEADER,
                          length - SPAWN_WIRE_HEADER, &w)
        == 0)
        rv = spawn_submit_shared(batch, w.data, w.length, origin, &why);
    spawn_writer_free(&w);
    job = spawn_job_find(&id);
    if (rv == SPAWN_OWN_KNOWN)
        known(&id, delivery);
    else if (rv == SPAWN_OWN_REFUSED && spawn_refusal_passes(&why))
        spawn_delivery_kept(delivery, why.code);
    else if (rv == SPAWN_OWN_REFUSED || !job)
        drop(delivery, why.text);
    else
        spawn_delivery_of(job, delivery);
}

void spawn_taking_came(spawn_batch *of, uint64_t delivery, const void *data,
                       size_t length)
{
    const spawn_queue *q;
    spawn_failure why;
    spawn_message m;
    spawn_id id;

    batch = of;
    if (spawn_message_parse(data, length, SPAWN_FROM_OTHER_HOST, 0, &m, &why)) {
        drop(delivery, why.text);
        return;
    }
    q = m.header.type == SPAWN_M_SHARED_JOB
            ? spawn_queue_find(spawn_attr_str(&m.attr[SPAWN_A_QUEUE]))
            : NULL;
    if (!q || !q->shared) {
        drop(delivery, "it is of no queue that is shared here");
        return;
    }
    spawn_attr_id(&m.attr[SPAWN_A_ID], &id);
    if (strcmp(spawn_attr_str(&m.attr[SPAWN_A_HOST]), spawn_conf.host) == 0)
        come_home(spawn_job_find(&id), delivery);
    else
        submit(&m, delivery, data, length);
}
