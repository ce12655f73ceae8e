/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which caller waits for which job. Runs in the broker. Must not point at a job
 * or peer that has gone.
 */
#include "broker/caller/waiter.h"

#include <stdlib.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/meters.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/process/perl.h"
#include "broker/caller/ask.h"
#include "broker/caller/offer.h"
#include "broker/caller/reply.h"

struct spawn_waiter {
    spawn_waiter *of_job;  /* next one of the job */
    spawn_waiter *of_peer; /* next one of the peer */
    spawn_peer *peer;
    spawn_job *job;
    spawn_timer timer;
    uint32_t seq;
    uint8_t want;
    uint8_t output; /* SPAWN_OUTPUT_ */
    bool submit;
};

static void drop(spawn_waiter *waiter)
{
    spawn_waiter **at;

    for (at = &waiter->job->waiters; *at != waiter; at = &(*at)->of_job)
        ;
    *at = waiter->of_job;
    for (at = &waiter->peer->waiters; *at != waiter; at = &(*at)->of_peer)
        ;
    *at = waiter->of_peer;
    waiter->peer->waiters_count--;
    waiter->job->starts_awaited -= waiter->want == SPAWN_REPLY_STARTED;
    spawn_timer_clear(&waiter->timer);
    free(waiter);
}

static void too_late(spawn_timer *t)
{
    spawn_waiter *waiter = SPAWN_OWNER(t, spawn_waiter, timer);
    spawn_peer *peer = waiter->peer;
    spawn_id id = waiter->job->id;
    uint32_t seq = waiter->seq;
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_TIMED_OUT, SPAWN_STEP_NONE, 0,
                      "the job is %s", spawn_state_name(waiter->job->state));
    drop(waiter);
    spawn_peer_refuse(peer, seq, &id, &why);
}

bool spawn_wait_is_over(const spawn_job *job, unsigned want)
{
    return want == SPAWN_REPLY_STARTED && job->state == SPAWN_STATE_RUNNING
           && (job->due == SPAWN_DUE_NOT || spawn_job_unstored(job));
}

void spawn_waiter_add(spawn_peer *peer, uint32_t seq, spawn_job *job,
                      const spawn_wait *wait)
{
    spawn_waiter *waiter = spawn_alloc(sizeof(*waiter));
    uint64_t ms = wait->ms;

    waiter->peer = peer;
    waiter->job = job;
    waiter->seq = seq;
    waiter->want = wait->want;
    waiter->output = wait->output;
    waiter->submit = wait->submit;
    waiter->of_job = job->waiters;
    job->waiters = waiter;
    job->starts_awaited += wait->want == SPAWN_REPLY_STARTED;
    waiter->of_peer = peer->waiters;
    peer->waiters = waiter;
    peer->waiters_count++;
    if (spawn_job_over(job) && spawn_job_unstored(job))
        spawn_job_tell_waiters(job); /* as one that had come before the end */
    else if (spawn_job_over(job)
             || (wait->want == SPAWN_REPLY_STARTED
                 && job->state == SPAWN_STATE_RUNNING))
        spawn_job_store_now(job);
    if (ms) {
        if (ms > SPAWN_WAIT_MAX_MS)
            ms = SPAWN_WAIT_MAX_MS;
        waiter->timer.fire = too_late;
        spawn_timer_set(&waiter->timer, spawn_mono_ms() + (int64_t)ms);
    }
}

bool spawn_waiters_too_many(const spawn_peer *peer, spawn_failure *why)
{
    if (peer->waiters_count < SPAWN_WAITERS_MAX)
        return false;
    spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                      "too many requests of this connection wait for jobs "
                      "already: at most %d can; wait for answers, or use "
                      "another connection",
                      SPAWN_WAITERS_MAX);
    return true;
}

bool spawn_waiters_enough(spawn_peer *peer, uint32_t seq, const spawn_id *id)
{
    spawn_failure why;

    if (!spawn_waiters_too_many(peer, &why))
        return false;
    spawn_peer_refuse(peer, seq, id, &why);
    return true;
}

/* It ended when nobody waited for it. */
static void store_soon(spawn_job *job)
{
    spawn_job_store_now(job);
    spawn_loop_again();
}

/* Is what the store, or the job itself, would say of it the end? */
static bool can_tell_end(const spawn_job *job)
{
    return spawn_job_over(job) && (job->end_stored || spawn_job_unstored(job));
}

static bool wait_after_all(spawn_peer *peer, const spawn_ask *ask)
{
    spawn_job *job = spawn_job_find(&ask->id);

    if (!job || can_tell_end(job) || spawn_wait_is_over(job, ask->wanted.want))
        return false;
    if (job->state == SPAWN_STATE_DONE)
        store_soon(job);
    if (!spawn_waiters_enough(peer, ask->seq, &ask->id))
        spawn_waiter_add(peer, ask->seq, job, &ask->wanted);
    return true;
}

void spawn_waiter_ask(spawn_ask *ask, const spawn_wait *wait)
{
    ask->wanted = *wait;
    ask->output = wait->output;
    ask->wait = wait_after_all;
}

static bool reached(const spawn_waiter *waiter)
{
    return spawn_job_over(waiter->job)
           || (waiter->want == SPAWN_REPLY_STARTED
               && waiter->job->state == SPAWN_STATE_RUNNING)
           || (waiter->want == SPAWN_WAIT_RETURNED
               && spawn_perl_has_returned(waiter->job));
}

/* What it waits for, as from now on. */
static spawn_wait left_of(const spawn_waiter *waiter)
{
    spawn_wait ret = {.want = waiter->want,
                      .output = waiter->output,
                      .submit = waiter->submit};
    int64_t left;

    if (waiter->timer.place) {
        left = waiter->timer.at - spawn_mono_ms();
        ret.ms = left > 0 ? (uint64_t)left : 1;
    }
    return ret;
}

/* A caller that does not read its answers just now: it is asked for, and not
 * in memory until there is room. Its job may wait again by then. */
static void answer_later(spawn_peer *peer, uint32_t seq, const spawn_job *job,
                         const spawn_wait *wait)
{
    spawn_ask *ask = spawn_alloc(sizeof(*ask));

    ask->seq = seq;
    ask->id = job->id;
    ask->output = wait->output;
    if (spawn_job_over(job) || wait->want == SPAWN_REPLY_STARTED)
        spawn_waiter_ask(ask, wait);
    spawn_peer_ask(peer, ask);
}

/* False: it is not in the caller's socket. */
static bool answer(spawn_peer *peer, uint32_t seq, spawn_job *job,
                   const spawn_wait *wait)
{
    int direct;

    if (!spawn_peer_has_room(peer)) {
        answer_later(peer, seq, job, wait);
        return false;
    }
    direct = spawn_offer(peer, job);
    spawn_peer_job(peer, seq, &job->id, wait->output, NULL);
    spawn_offer_taken(peer, job, direct);
    return spawn_peer_open(peer) && !peer->out;
}

void spawn_waiters_tell(spawn_job *job)
{
    spawn_waiter *waiter = job->waiters;

    /* Answering may drop a slow peer and with it other waiters of the list:
     * so it begins anew each time. */
    while (waiter) {
        spawn_wait wait = left_of(waiter);
        spawn_peer *peer = waiter->peer;
        uint32_t seq = waiter->seq;

        if (!reached(waiter)) {
            waiter = waiter->of_job;
            continue;
        }
        if (spawn_job_over(job))
            job->told = true;
        else if (waiter->want == SPAWN_WAIT_RETURNED)
            job->result_told = true;
        drop(waiter);
        job->unsent |= !answer(peer, seq, job, &wait);
        waiter = job->waiters;
    }
}

/* A submit that is refused is counted, other questions are not. */
static void count_refusal(const spawn_waiter *waiter, const spawn_failure *why)
{
    if (waiter->submit)
        spawn_meter_refused(waiter->job->queue->meter, why->code);
}

void spawn_waiters_refuse(spawn_job *job, const spawn_failure *why)
{
    while (job->waiters) {
        spawn_peer *peer = job->waiters->peer;
        uint32_t seq = job->waiters->seq;

        count_refusal(job->waiters, why);
        drop(job->waiters);
        spawn_peer_refuse(peer, seq, &job->id, why);
    }
}

void spawn_waiters_refuse_later(spawn_job *job, const spawn_failure *why)
{
    while (job->waiters) {
        spawn_peer *peer = job->waiters->peer;
        uint32_t seq = job->waiters->seq;

        count_refusal(job->waiters, why);
        drop(job->waiters);
        spawn_reply_refuse_later(peer, seq, job, why);
    }
}

void spawn_waiters_leave(spawn_peer *peer)
{
    while (peer->waiters)
        drop(peer->waiters); /* NOLINT: the list begins behind it then */
}
