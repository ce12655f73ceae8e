/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one transaction of a turn. On a full disk the history makes room, and
 * then the jobs are written one by one. Runs in the broker. Must answer nobody:
 * turn.c does.
 */
#include "broker/store/commit.h"

#include <limits.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/store/parts.h"
#include "broker/store/store.h"

#define RETRY_STORE    1000  /* ms */
#define COMPLAIN_AGAIN 60000 /* ms */
#define GOOD_AGAIN     5000  /* ms without a failure */

bool spawn_commit_failing(const spawn_store *store)
{
    return store->commit.failing;
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
        if (job->in_store ? spawn_store_update(store, job)
                          : spawn_store_insert(store, job)) {
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

static void complain(spawn_store *store)
{
    spawn_part_commit *c = &store->commit;
    int64_t now = spawn_mono_ms();

    if (!c->failing || now - c->complained_at > COMPLAIN_AGAIN) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0530) "the store in %s cannot be written: %s; jobs are "
                             "refused until it can",
                  store->directory, spawn_store_error(store));
        c->complained_at = now;
    }
    c->failed_at = now;
    c->failing = true;
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

bool spawn_commit(const spawn_batch *batch, spawn_committed *ret)
{
    spawn_store *store = batch->store;
    spawn_part_commit *c = &store->commit;

    *ret = (spawn_committed){.written = 0};
    if (!spawn_batch_due(batch))
        return true;
    if (write_or_make_room(batch, ret)) {
        complain(store);
        spawn_store_rollback(store);
        c->retry_timer.fire = nothing;
        spawn_timer_set(&c->retry_timer, spawn_mono_ms() + RETRY_STORE);
        return false;
    }
    /* On a nearly full disk small jobs still fit and big ones do not. */
    if (c->failing && spawn_mono_ms() - c->failed_at > GOOD_AGAIN) {
        spawn_log(SPAWN_LOG_NOTICE, MSNO(0531) "the store is written again");
        c->failing = false;
    }
    return true;
}
