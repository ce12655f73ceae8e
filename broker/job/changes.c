/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs have to be stored, and when. Runs in the broker. Writes nothing
 * itself: store/commit.c does.
 */
#include "broker/job/changes.h"

#include "common/spawn_os.h"
#include "broker/base/timer.h"

#define STORE_WITHIN 20 /* ms */
#define MAY_WAIT     10 /* ms, of these, with what may end soon */
#define STORE_AGAIN  1000
#define JOBS_MAX     256
#define BYTES_MAX    (1u << 20) /* of results */

void spawn_batch_init(spawn_batch *batch, spawn_store *store)
{
    *batch = (spawn_batch){
        .store = store, .due_last = &batch->due, .news_last = &batch->news};
}

static spawn_later *list_of(const spawn_job *job)
{
    return job->store_again ? &job->batch->again : &job->batch->soon;
}

static void store_all(spawn_later *list)
{
    spawn_timer_clear(&list->timer);
    list->bytes = 0;
    while (list->first)
        spawn_job_store_now(list->first);
}

static int64_t limit_of(const spawn_later *list)
{
    return list->first->soon_since
           + (list->first->store_again ? STORE_AGAIN : STORE_WITHIN);
}

/* It has come a moment ago, and may have ended at the next one: then it is
 * stored once. waits: the same of one that has not started. */
static bool may_end_soon(const spawn_job *job, int64_t now, bool waits)
{
    return job->state != SPAWN_STATE_DONE
           && (waits || job->state != SPAWN_STATE_QUEUED)
           && now - job->soon_since < MAY_WAIT;
}

/* The next moment is that of the first that stays. */
static void store_some(spawn_later *list, bool waits)
{
    const int64_t now = spawn_mono_ms();
    spawn_job *job = list->first, *next;

    list->bytes = 0;
    for (; job; job = next) {
        next = job->soon_next;
        if (!may_end_soon(job, now, waits))
            spawn_job_store_now(job);
    }
    if (list->first)
        spawn_timer_set(&list->timer, limit_of(list));
}

static void moment_over(spawn_timer *t)
{
    store_some(SPAWN_OWNER(t, spawn_later, timer), true);
}

/* Those that the store did not take have a list and a time of their own: they
 * neither hold up the others nor are tried with each of them. */
static void link_later(spawn_job *job, bool again)
{
    spawn_later *list;

    job->due = SPAWN_DUE_SOON;
    job->store_again = again;
    list = list_of(job);
    job->soon_since = spawn_mono_ms();
    job->soon_prev = list->last;
    job->soon_next = NULL;
    if (list->last)
        list->last->soon_next = job;
    else
        list->first = job;
    list->last = job;
    list->count++;
    if (list->timer.place)
        return;
    list->timer.fire = moment_over;
    spawn_timer_set(&list->timer, limit_of(list));
}

static void unlink_later(spawn_job *job)
{
    spawn_later *list = list_of(job);

    job->due = SPAWN_DUE_NOT;
    if (job->soon_prev)
        job->soon_prev->soon_next = job->soon_next;
    else
        list->first = job->soon_next;
    if (job->soon_next)
        job->soon_next->soon_prev = job->soon_prev;
    else
        list->last = job->soon_prev;
    list->count--;
}

void spawn_job_changed(spawn_job *job)
{
    spawn_batch *b = job->batch;

    if (spawn_job_unstored(job)) {
        spawn_job_tell_waiters(job);
        return;
    }
    if (job->due == SPAWN_DUE_THIS_TURN)
        return;
    if (job->due == SPAWN_DUE_SOON)
        unlink_later(job);
    job->due = SPAWN_DUE_THIS_TURN;
    job->due_next = NULL;
    *b->due_last = job;
    b->due_last = &job->due_next;
}

void spawn_job_store_first(spawn_job *job)
{
    spawn_batch *b = job->batch;

    if (job->due != SPAWN_DUE_NOT)
        return;
    job->due = SPAWN_DUE_THIS_TURN;
    job->due_next = b->due;
    b->due = job;
    if (!job->due_next)
        b->due_last = &job->due_next;
}

void spawn_job_came_back(spawn_job *job)
{
    spawn_job_changed(job);
    spawn_job_tell_waiters(job);
}

void spawn_job_changed_soon(spawn_job *job)
{
    if (job->due == SPAWN_DUE_NOT)
        link_later(job, false);
    else if (spawn_job_unstored(job))
        spawn_job_changed(job);
}

void spawn_job_may_run_unstored(spawn_job *job)
{
    job->may_run_unstored = true;
    link_later(job, false);
}

void spawn_job_store_now(spawn_job *job)
{
    if (job->due != SPAWN_DUE_SOON)
        return;
    unlink_later(job);
    spawn_job_changed(job);
}

void spawn_batch_store_now(spawn_batch *batch)
{
    store_all(&batch->soon);
    store_all(&batch->again);
}

void spawn_batch_store_most(spawn_batch *batch)
{
    store_some(&batch->soon, false);
}

void spawn_batch_store_many(spawn_batch *batch, size_t weight)
{
    spawn_later *soon = &batch->soon;

    soon->bytes += weight;
    if (soon->count >= JOBS_MAX || soon->bytes >= BYTES_MAX)
        store_all(soon);
}

void spawn_job_tell_waiters(spawn_job *job)
{
    if (job->news)
        return;
    job->news = true;
    job->news_next = NULL;
    *job->batch->news_last = job;
    job->batch->news_last = &job->news_next;
}

spawn_job *spawn_batch_to_tell(spawn_batch *batch)
{
    spawn_job *job = batch->news;

    if (job) {
        batch->news = job->news_next;
        if (!batch->news)
            batch->news_last = &batch->news;
        job->news = false;
    }
    return job;
}

spawn_job *spawn_batch_due(const spawn_batch *batch)
{
    return batch->due;
}

spawn_job *spawn_batch_take(spawn_batch *batch, unsigned count)
{
    spawn_job *list = batch->due, **at = &batch->due;

    if (count == 0)
        return NULL;
    while (*at && count-- > 0)
        at = &(*at)->due_next;
    batch->due = *at;
    *at = NULL;
    if (!batch->due)
        batch->due_last = &batch->due;
    return list;
}

spawn_job *spawn_batch_take_held(spawn_batch *batch,
                                 bool (*may_be)(const spawn_job *job))
{
    spawn_job *list = NULL, **last = &list, **at = &batch->due;

    while (*at) {
        spawn_job *job = *at;

        if (!job->held_back || !may_be(job)) {
            at = &job->due_next;
            continue;
        }
        *at = job->due_next;
        *last = job;
        last = &job->due_next;
    }
    *last = NULL;
    batch->due_last = at;
    return list;
}

unsigned spawn_batch_part(spawn_batch *batch)
{
    spawn_job *good = NULL, **good_last = &good;
    spawn_job *bad = NULL, **bad_last = &bad, *job;
    unsigned count = 0;

    for (job = batch->due; job; job = job->due_next) {
        spawn_job ***last = job->store_error ? &bad_last : &good_last;

        **last = job;
        *last = &job->due_next;
        count += !job->store_error;
    }
    *bad_last = NULL;
    *good_last = bad;
    batch->due = good;
    if (bad)
        batch->due_last = bad_last;
    return count;
}

void spawn_job_settled(spawn_job *job)
{
    job->due = SPAWN_DUE_NOT;
}

void spawn_job_store_again(spawn_job *job)
{
    link_later(job, true);
}
