/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a turn. Runs in the broker.
 *
 * The order is what makes "accepted" true: schedule, commit, then answers (but
 * those that the inbox or a ticket vouches for: they are out already), then
 * launch orders, then the words to the spawner that an exit may be forgotten.
 * When the commit fails, what came in this turn is refused, what should have
 * started waits again, and what had changed is stored later.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/configure.h"
#include "broker/caller/inbox.h"
#include "broker/job/changes.h"
#include "broker/run/launch.h"
#include "broker/life.h"
#include "broker/process/link.h"
#include "broker/base/loop.h"
#include "broker/base/passed.h"
#include "broker/run/pool.h"
#include "broker/job/queue.h"
#include "broker/store/recent.h"
#include "broker/run/report.h"
#include "broker/caller/spool.h"
#include "broker/store/store.h"
#include "broker/turn.h"
#include "broker/caller/waiter.h"

#define RETRY_STORE    1000  /* ms */
#define COMPLAIN_AGAIN 60000 /* ms */
#define GOOD_AGAIN     5000  /* ms without a failure */
#define ALL            UINT_MAX

typedef struct {
    spawn_peer *peer;
    spawn_job *job;
    uint32_t seq;
    bool done; /* DONE, else ACCEPTED */
} reply;

static spawn_job *dirty, **dirty_last = &dirty;
static reply *replies;
static unsigned replies_used, replies_room;
static spawn_timer retry_timer;
static int64_t complained_at;
static int64_t failed_at;
static bool failing;
static bool disk_full;   /* that is why */
static unsigned written; /* how many of the list are in the store now */

bool spawn_turn_failing(void)
{
    return failing;
}

void spawn_turn_touch(spawn_job *job)
{
    if (job->light) {
        spawn_later_news(job);
        return;
    }
    spawn_later_cancel(job);
    if (job->dirty)
        return;
    job->dirty = true;
    job->dirty_next = NULL;
    *dirty_last = job;
    dirty_last = &job->dirty_next;
}

/* The list's first jobs, so many; all of them when there are no more. The rest
 * stays dirty. */
static spawn_job *take_dirty(unsigned count)
{
    spawn_job *list = dirty, **at = &dirty;

    while (*at && count-- > 0)
        at = &(*at)->dirty_next;
    dirty = *at;
    *at = NULL;
    if (!dirty)
        dirty_last = &dirty;
    return list;
}

static void add_reply(spawn_peer *peer, uint32_t seq, spawn_job *job, bool done)
{
    reply *r;

    if (replies_used == replies_room) {
        replies_room = replies_room ? replies_room * 2 : 32;
        replies = spawn_realloc(replies, replies_room * sizeof(reply));
    }
    r = &replies[replies_used++];
    r->peer = peer;
    r->seq = seq;
    r->job = job;
    r->done = done;
}

void spawn_turn_accepted(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    add_reply(peer, seq, job, false);
}

void spawn_turn_done(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    add_reply(peer, seq, job, true);
}

/* ---- commit ---- */

/* The list's first jobs, at most so many, and no more output at once than the
 * disk has room for; how many, in written. */
static int write_some(unsigned most)
{
    spawn_job *job;

    written = 0;
    if (spawn_store_begin())
        return -1;
    for (job = dirty; job && written < most; job = job->dirty_next) {
        if (written > 0 && spawn_store_spent_enough())
            break;
        if (job->is_new ? spawn_store_insert(job) : spawn_store_update(job))
            return -1;
        written++;
    }
    return spawn_store_commit();
}

static void nothing(spawn_timer *t)
{
    (void)t; /* to have a turn is enough */
}

static void complain(void)
{
    int64_t now = spawn_mono_ms();

    if (!failing || now - complained_at > COMPLAIN_AGAIN) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0530) "the store in %s cannot be written: %s; jobs are "
                             "refused until it can",
                  spawn_conf.store_path, spawn_store_error());
        complained_at = now;
    }
    failed_at = now;
    failing = true;
}

/* 0, or -1 with a transaction to be rolled back. On a full disk the history
 * goes first, and one job is written: the rest of them in turns that follow. */
static int write_or_make_room(void)
{
    unsigned most = ALL;

    while (write_some(most)) {
        disk_full = spawn_store_full();
        if (!disk_full)
            return -1;
        spawn_store_rollback();
        if (!spawn_store_make_room() && most == 1)
            return write_some(1); /* to know the error again */
        most = 1;
    }
    return 0;
}

static bool commit(void)
{
    if (!dirty)
        return true;
    if (write_or_make_room()) {
        complain();
        spawn_store_rollback();
        retry_timer.fire = nothing;
        spawn_timer_set(&retry_timer, spawn_mono_ms() + RETRY_STORE);
        return false;
    }
    /* On a nearly full disk small jobs still fit and big ones do not. */
    if (failing && spawn_mono_ms() - failed_at > GOOD_AGAIN) {
        spawn_log(SPAWN_LOG_NOTICE, MSNO(0531) "the store is written again");
        failing = false;
    }
    return true;
}

/* ---- answers ---- */

static void send_replies(bool committed)
{
    spawn_failure why;
    unsigned i, kept = 0;

    spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                      "the store could not be written; see the error log");
    for (i = 0; i < replies_used; i++) {
        const reply *r = &replies[i];

        if (!spawn_peer_open(r->peer))
            continue;
        if (committed && r->job->rest)
            replies[kept++] = *r;
        else if (!committed && r->job->dirty)
            spawn_peer_refuse(r->peer, r->seq, &r->job->id, &why);
        else if (r->done)
            spawn_peer_done(r->peer, r->seq, &r->job->id);
        else
            spawn_peer_accepted(r->peer, r->seq, &r->job->id, r->job->state);
    }
    replies_used = kept;
}

/* ---- after a commit ---- */

static void release_held(spawn_job *job)
{
    if (!job->held)
        return;
    spawn_link_send_id(SPAWN_M_RELEASE, &job->id, NULL, 0);
    spawn_passed_close(job->held->fds, job->held->count, job->caller_uid);
    free(job->held);
    job->held = NULL;
}

static void launch(spawn_job *job)
{
    if (!job->launch)
        return;
    job->launch = false;
    spawn_launch(job);
    if (!job->perl) /* such a one may have to be ordered again */
        release_held(job);
}

/* A launch can make a job dirty again, and with it dirty_next another list's:
 * so each step takes the next one first. */
static void finish_all(spawn_job *list)
{
    while (list) {
        spawn_job *job = list;

        list = job->dirty_next;
        job->dirty = false;
        launch(job);
        if (job->state == SPAWN_STATE_DONE)
            spawn_report_end(job);
        free(job->body);
        job->body = NULL;
        if (job->slot)
            spawn_inbox_free(job->slot);
        job->slot = 0;
        if (job->spooled)
            spawn_spool_remove(&job->id);
        job->spooled = false;
        if (job->state != SPAWN_STATE_DONE)
            continue;
        release_held(job);
        if (job->in_table)
            spawn_link_forget(&job->id);
        spawn_store_count_done();
        spawn_recent_add(&job->id);
        spawn_job_free(job);
    }
    spawn_link_forget_all();
}

/* What did not fit is written in the next turn. */
static void mark_rest(bool rest)
{
    spawn_job *job;

    for (job = dirty; job; job = job->dirty_next)
        job->rest = rest;
    if (dirty)
        spawn_loop_again();
}

static void after_commit(void)
{
    spawn_job *list = take_dirty(written);
    spawn_job *job;

    for (job = list; job; job = job->dirty_next)
        job->is_new = false;
    mark_rest(true);
    spawn_life_ready(true);
    send_replies(true);
    mark_rest(false);
    for (job = list; job; job = job->dirty_next)
        spawn_waiters_tell(job);
    spawn_peers_serve();
    spawn_link_forget_all();
    finish_all(list);
    spawn_launch_failures();
}

/* ---- after a failed commit ---- */

/* It was to start in this turn: to its place in the queue. */
static void unlaunch(spawn_job *job)
{
    job->launch = false;
    spawn_perl_settled(job, false);
    spawn_pool_unreserve(job);
    spawn_queue_push(job, true);
}

/* A call whose caller waits for its end (later.h): it runs, and is told of,
 * whether it is stored or not. Only one that was told of, or never ran, is
 * left out of the history. */
static bool goes_on(const spawn_job *job)
{
    if (!job->is_new || !job->deferred)
        return false;
    return job->state != SPAWN_STATE_DONE || job->perl->worker
           || (job->waiters && job->started_at);
}

static void undo(spawn_job *job)
{
    if (goes_on(job)) {
        /* what it waited for is there: the next turn asks the store for nothing
         */
        if (job->state == SPAWN_STATE_DONE
            || (job->launch && job->perl->pooled))
            spawn_loop_again();
        if (job->launch)
            unlaunch(job);
        spawn_later_again(job);
        spawn_later_news(job);
        return;
    }
    if (job->is_new) {
        spawn_waiters_refuse(job);
        release_held(job);
        spawn_queue_state(job, SPAWN_STATE_NONE);
        if (job->slot)
            spawn_inbox_retry(job->slot);
        if (job->spooled)
            spawn_spool_retry();
        spawn_job_free(job);
        return;
    }
    if (job->launch)
        unlaunch(job);
    else
        spawn_turn_touch(job);
}

static void after_failure(void)
{
    spawn_job *list, *job;

    spawn_life_ready(disk_full); /* it is no reason for httpd not to start */
    send_replies(false);
    list = take_dirty(ALL);
    while (list) {
        job = list;
        list = job->dirty_next;
        job->dirty = false;
        undo(job);
    }
    spawn_peers_serve();
}

void spawn_turn_end(void)
{
    bool committed = true;

    if (spawn_life_recovered()) {
        spawn_later_tell();
        spawn_peers_go_first();
        spawn_queue_schedule();
        spawn_later_tell();
        committed = commit();
        if (committed)
            after_commit();
        else
            after_failure();
    }
    spawn_life_end_of_turn(committed && !dirty);
}
