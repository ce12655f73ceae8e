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

/* due in this turn, one way linked; soon, both ways; to be told */
static spawn_job *due, **due_last = &due;
static spawn_job *first, *last;
static spawn_job *news;
static unsigned jobs; /* that are due soon */
static size_t bytes;
static spawn_timer timer;

static void moment_over(spawn_timer *t)
{
    (void)t;
    spawn_changes_store_now();
}

static void link_soon(spawn_job *job, int within)
{
    job->due = SPAWN_DUE_SOON;
    job->soon_prev = last;
    job->soon_next = NULL;
    if (last)
        last->soon_next = job;
    else
        first = job;
    last = job;
    jobs++;
    if (!timer.place) {
        timer.fire = moment_over;
        spawn_timer_set(&timer, spawn_mono_ms() + within);
    }
}

static void unlink_soon(spawn_job *job)
{
    job->due = SPAWN_DUE_NOT;
    if (job->soon_prev)
        job->soon_prev->soon_next = job->soon_next;
    else
        first = job->soon_next;
    if (job->soon_next)
        job->soon_next->soon_prev = job->soon_prev;
    else
        last = job->soon_prev;
    jobs--;
}

void spawn_job_changed(spawn_job *job)
{
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
    *due_last = job;
    due_last = &job->due_next;
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

void spawn_changes_store_now(void)
{
    spawn_timer_clear(&timer);
    bytes = 0;
    while (first)
        spawn_job_store_now(first);
}

void spawn_changes_store_many(size_t weight)
{
    bytes += weight;
    if (jobs >= JOBS_MAX || bytes >= BYTES_MAX)
        spawn_changes_store_now();
}

void spawn_job_tell_waiters(spawn_job *job)
{
    if (job->news)
        return;
    job->news = true;
    job->news_next = news;
    news = job;
}

spawn_job *spawn_changes_to_tell(void)
{
    spawn_job *job = news;

    if (job) {
        news = job->news_next;
        job->news = false;
    }
    return job;
}

spawn_job *spawn_changes_due(void)
{
    return due;
}

spawn_job *spawn_changes_take(unsigned count)
{
    spawn_job *list = due, **at = &due;

    while (*at && count-- > 0)
        at = &(*at)->due_next;
    due = *at;
    *at = NULL;
    if (!due)
        due_last = &due;
    return list;
}

void spawn_job_settled(spawn_job *job)
{
    job->due = SPAWN_DUE_NOT;
}

void spawn_job_store_again(spawn_job *job)
{
    link_soon(job, STORE_AGAIN);
}
