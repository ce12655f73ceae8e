/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are stored later. Runs in the broker.
 */
#include "common/spawn_os.h"
#include "broker/job/changes.h"
#include "broker/run/pool.h"
#include "broker/turn.h"
#include "broker/caller/waiter.h"

#define STORE_WITHIN 20 /* ms */
#define STORE_AGAIN  1000
#define JOBS_MAX     256
#define BYTES_MAX    (1u << 20) /* of results */

static spawn_job *first, *last;
static spawn_job *news;
static unsigned jobs;
static size_t bytes;
static spawn_timer timer;

static void due(spawn_timer *t)
{
    (void)t;
    spawn_later_flush();
}

static void link_job(spawn_job *job, int within)
{
    job->later_prev = last;
    job->later_next = NULL;
    if (last)
        last->later_next = job;
    else
        first = job;
    last = job;
    jobs++;
    if (!timer.place) {
        timer.fire = due;
        spawn_timer_set(&timer, spawn_mono_ms() + within);
    }
}

static void unlink_job(spawn_job *job)
{
    job->light = job->lazy = false;
    if (job->later_prev)
        job->later_prev->later_next = job->later_next;
    else
        first = job->later_next;
    if (job->later_next)
        job->later_next->later_prev = job->later_prev;
    else
        last = job->later_prev;
    jobs--;
}

void spawn_later_add(spawn_job *job)
{
    job->deferred = job->light = true;
    link_job(job, STORE_WITHIN);
}

void spawn_later_touch(spawn_job *job)
{
    if (job->lazy || job->dirty) {
        spawn_turn_touch(job);
        return;
    }
    job->lazy = true;
    link_job(job, STORE_WITHIN);
}

void spawn_later_again(spawn_job *job)
{
    job->light = true;
    link_job(job, STORE_AGAIN);
}

void spawn_later_store(spawn_job *job)
{
    if (!job->light && !job->lazy)
        return;
    unlink_job(job);
    spawn_turn_touch(job);
}

void spawn_later_cancel(spawn_job *job)
{
    if (job->lazy)
        unlink_job(job);
}

void spawn_later_flush(void)
{
    spawn_timer_clear(&timer);
    bytes = 0;
    while (first)
        spawn_later_store(first);
}

void spawn_later_news(spawn_job *job)
{
    if (job->news)
        return;
    job->news = true;
    job->news_next = news;
    news = job;
}

void spawn_later_tell(void)
{
    while (news) {
        spawn_job *job = news;

        news = job->news_next;
        job->news = false;
        if (!job->light && job->state == SPAWN_STATE_DONE)
            continue; /* stored in this turn, and told then */
        spawn_waiters_tell(job);
        if (job->state != SPAWN_STATE_DONE)
            continue;
        /* Only now: the next call would overwrite its ticket. */
        spawn_pool_release(job);
        if (job->perl->kept)
            bytes += job->perl->kept->length;
    }
    if (jobs >= JOBS_MAX || bytes >= BYTES_MAX)
        spawn_later_flush();
}
