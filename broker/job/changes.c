/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs have to be stored, and when. Runs in the broker. Writes nothing
 * itself: store/commit.c does.
 */
#include "broker/job/changes.h"

#include "common/spawn_os.h"
#include "broker/base/timer.h"

#define STORE_WITHIN 20 /* ms */
#define STORE_AGAIN  1000
#define JOBS_MAX     256
#define BYTES_MAX    (1u << 20) /* of results */

void spawn_batch_init(spawn_batch *batch, spawn_store *store)
{
    *batch = (spawn_batch){
        .store = store, .due_last = &batch->due, .news_last = &batch->news};
}

static void moment_over(spawn_timer *t)
{
    spawn_batch_store_now(SPAWN_OWNER(t, spawn_batch, timer));
}

static void link_soon(spawn_job *job, int within)
{
    spawn_batch *b = job->batch;

    job->due = SPAWN_DUE_SOON;
    job->soon_prev = b->soon_last;
    job->soon_next = NULL;
    if (b->soon_last)
        b->soon_last->soon_next = job;
    else
        b->soon = job;
    b->soon_last = job;
    b->soon_count++;
    if (!b->timer.place) {
        b->timer.fire = moment_over;
        spawn_timer_set(&b->timer, spawn_mono_ms() + within);
    }
}

static void unlink_soon(spawn_job *job)
{
    spawn_batch *b = job->batch;

    job->due = SPAWN_DUE_NOT;
    if (job->soon_prev)
        job->soon_prev->soon_next = job->soon_next;
    else
        b->soon = job->soon_next;
    if (job->soon_next)
        job->soon_next->soon_prev = job->soon_prev;
    else
        b->soon_last = job->soon_prev;
    b->soon_count--;
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
        unlink_soon(job);
    job->due = SPAWN_DUE_THIS_TURN;
    job->due_next = NULL;
    *b->due_last = job;
    b->due_last = &job->due_next;
}

void spawn_job_changed_soon(spawn_job *job)
{
    if (job->due == SPAWN_DUE_NOT)
        link_soon(job, STORE_WITHIN);
    else
        spawn_job_changed(job);
}

void spawn_job_may_run_unstored(spawn_job *job)
{
    job->may_run_unstored = true;
    link_soon(job, STORE_WITHIN);
}

void spawn_job_store_now(spawn_job *job)
{
    if (job->due != SPAWN_DUE_SOON)
        return;
    unlink_soon(job);
    spawn_job_changed(job);
}

void spawn_batch_store_now(spawn_batch *batch)
{
    spawn_timer_clear(&batch->timer);
    batch->bytes = 0;
    while (batch->soon)
        spawn_job_store_now(batch->soon);
}

void spawn_batch_store_many(spawn_batch *batch, size_t weight)
{
    batch->bytes += weight;
    if (batch->soon_count >= JOBS_MAX || batch->bytes >= BYTES_MAX)
        spawn_batch_store_now(batch);
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
    else
        batch->due_last = good ? good_last : &batch->due;
    return count;
}

void spawn_job_settled(spawn_job *job)
{
    job->due = SPAWN_DUE_NOT;
}

void spawn_job_store_again(spawn_job *job)
{
    link_soon(job, STORE_AGAIN);
}
