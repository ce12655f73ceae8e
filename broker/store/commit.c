/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one transaction of a turn. When it fails, the jobs are written one by
 * one: on a full disk one in each turn, when the history has made room, and
 * else each in a transaction of its own. A job that the store does not take
 * must not keep the others from it. Runs in the broker. Must answer nobody:
 * turn.c does.
 */
#include "broker/store/commit.h"

#include <limits.h>
#include <stdio.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/loop.h"
#include "broker/base/meters.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/store/parts.h"
#include "broker/store/store.h"

#define RETRY_STORE    1000  /* ms */
#define COMPLAIN_AGAIN 60000 /* ms */
#define GOOD_AGAIN     5000  /* ms without a failure */

bool spawn_commit_failing(const spawn_store *store)
{
    const spawn_part_commit *c = &store->commit;

    return c->failing
           || (c->job_failed_at
               && spawn_mono_ms() - c->job_failed_at <= GOOD_AGAIN);
}

bool spawn_commit_waits(spawn_store *store)
{
    store->commit.waited_for = spawn_commit_failing(store);
    return store->commit.waited_for;
}

void spawn_commit_refusal(const spawn_job *job, spawn_failure *why)
{
    spawn_failure_set(why,
                      job->may_have_run ? SPAWN_E_UNCONFIRMED : SPAWN_E_STORE,
                      SPAWN_STEP_STORE, 0,
                      "%sthe store did not take it: %s; see the error log",
                      job->may_have_run ? "the job may have run, and " : "",
                      sqlite3_errstr(job->store_error));
}

static int write_job(spawn_store *store, spawn_job *job)
{
    job->store_error = 0;
    return job->in_store ? spawn_store_update(store, job)
                         : spawn_store_insert(store, job);
}

/* Write the first jobs, at most so many, and no more output at once than the
 * disk has room for. */
static int write_some(const spawn_batch *batch, unsigned most,
                      spawn_committed *ret)
{
    spawn_store *store = batch->store;
    spawn_job *job;

    ret->written = 0;
    ret->new_failed = false;
    if (spawn_store_begin(store))
        return -1;
    for (job = spawn_batch_due(batch); job && ret->written < most;
         job = job->due_next) {
        if (ret->written > 0 && spawn_store_spent_enough(store))
            break;
        if (write_job(store, job)) {
            ret->new_failed = !job->in_store;
            return -1;
        }
        ++ret->written;
    }
    return spawn_store_commit(store);
}

static void nothing(spawn_timer *t)
{
    (void)t; /* it only causes a turn */
}

static void complain(spawn_store *store, const char *error)
{
    spawn_part_commit *c = &store->commit;
    int64_t now = spawn_mono_ms();

    if (!c->failing || now - c->complained_at > COMPLAIN_AGAIN) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0530) "the store in %s cannot be written: %s; jobs are "
                             "refused until it can",
                  store->directory, error);
        c->complained_at = now;
    }
    c->failed_at = now;
    c->failing = true;
}

static void complain_of_jobs(const spawn_batch *batch)
{
    char name[SPAWN_LOGS_NAME];
    const spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        if (job->store_error)
            spawn_log_few("the store", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                          MSNO(0861) "job %s (queue %s) cannot be stored: %s; "
                                     "other jobs are stored",
                          spawn_body_name(job, job->body, name),
                          job->queue->name, sqlite3_errstr(job->store_error));
    }
    batch->store->commit.job_failed_at = spawn_mono_ms();
}

/* 0, or -1 with a transaction to be rolled back. On a full disk the history
 * makes room, and one job is written; the others follow in later turns. */
static int write_or_make_room(const spawn_batch *batch, spawn_committed *ret)
{
    spawn_store *store = batch->store;
    unsigned most = UINT_MAX;

    while (write_some(batch, most, ret)) {
        ret->disk_full = spawn_store_full(store);
        if (!ret->disk_full)
            return -1;
        spawn_store_rollback(store);
        if (!spawn_store_make_room(store) && most == 1)
            return write_some(batch, 1, ret); /* to have the error again */
        most = 1;
    }
    return 0;
}

/* Each job by itself, so that one which the store does not take keeps no other
 * one from it, but one that is not to be there without it. Each has an error
 * until it is written. */
static unsigned write_singly(spawn_batch *batch)
{
    spawn_store *store = batch->store;
    spawn_job *job;

    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        if (job->behind && job->behind->store_error)
            continue;
        if (spawn_store_begin(store) == 0 && write_job(store, job) == 0
            && spawn_store_commit(store) == 0)
            continue;
        job->store_error = (uint8_t)spawn_store_error_code(store);
        spawn_store_rollback(store);
    }
    return spawn_batch_part(batch);
}

/* Is it the store that failed, or one of its jobs? */
static void write_what_can_be(spawn_batch *batch, spawn_committed *ret)
{
    spawn_store *store = batch->store;
    uint8_t code = (uint8_t)spawn_store_error_code(store);
    spawn_job *job;
    char error[200];

    (void)snprintf(error, sizeof(error), "%s", spawn_store_error(store));
    spawn_store_rollback(store);
    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        job->store_error = code;
        ret->failed++;
    }
    ret->written = 0;
    if (ret->failed > 1 && spawn_store_probe(store) == 0)
        ret->written = write_singly(batch);
    ret->failed -= ret->written;
    if (ret->written == 0)
        complain(store, error);
    else if (ret->failed > 0)
        complain_of_jobs(batch);
}

static void is_good(spawn_store *store)
{
    spawn_log(SPAWN_LOG_NOTICE, MSNO(0531) "the store is written again");
    store->commit.failing = false;
    spawn_loop_again(); /* for those that have waited for it */
}

/* Not before it could have been good for long enough. */
static void look_later(spawn_store *store)
{
    spawn_part_commit *c = &store->commit;
    int64_t last =
        c->failed_at > c->job_failed_at ? c->failed_at : c->job_failed_at;

    c->retry_timer.fire = nothing;
    spawn_timer_set(&c->retry_timer, last + GOOD_AGAIN + 1);
}

/* A job waits until the store can be written, and there is nothing to write:
 * without this nobody would find out that it can. */
static void look_again(spawn_store *store)
{
    spawn_part_commit *c = &store->commit;
    int64_t now = spawn_mono_ms();

    c->waited_for = false;
    if (c->failing && now - c->failed_at > GOOD_AGAIN) {
        if (spawn_store_probe(store) == 0)
            is_good(store);
        else
            c->failed_at = now;
    }
    if (spawn_commit_failing(store))
        look_later(store);
}

bool spawn_commit(spawn_batch *batch, spawn_committed *ret)
{
    spawn_store *store = batch->store;
    spawn_part_commit *c = &store->commit;
    int64_t began;
    int rv;

    *ret = (spawn_committed){0};
    if (!spawn_batch_due(batch)) {
        if (c->waited_for)
            look_again(store);
        return true;
    }
    began = spawn_mono_us();
    rv = write_or_make_room(batch, ret);
    if (rv) {
        write_what_can_be(batch, ret);
        c->retry_timer.fire = nothing;
        spawn_timer_set(&c->retry_timer, spawn_mono_ms() + RETRY_STORE);
        return ret->failed == 0;
    }
    spawn_meters_committed(spawn_mono_us() - began);
    /* On a nearly full disk small jobs still fit and big ones do not. */
    if (c->failing && spawn_mono_ms() - c->failed_at > GOOD_AGAIN)
        is_good(store);
    if (c->waited_for)
        look_later(store);
    return true;
}
