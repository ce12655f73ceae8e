/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of jobs among others, in the store: which jobs a job still comes
 * after, and which ended job has a unique key. Runs in the broker.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/job/needs.h"
#include "broker/job/queue.h"
#include "broker/job/unique.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, order.name)
static const spawn_statement all[] = {
    {AT(need), "INSERT OR IGNORE INTO need(seq, id) VALUES(?1, ?2)"},
    {AT(need_over), "DELETE FROM need WHERE seq = ?1 AND id = ?2"},
    {AT(needs_gone), "DELETE FROM need WHERE seq = ?1"},
    {AT(needs), "SELECT id FROM need WHERE seq = ?1"},
    {AT(outcome), "SELECT state, outcome, exit_code, result_kind, signal"
                  " FROM job WHERE id = ?1"},
    {AT(hold), "INSERT OR REPLACE INTO unique_hold(queue, key, id, until,"
               " until_boot) VALUES(?1, ?2, ?3, ?4, ?5)"},
    /* by the clock that decides: the other one may be set */
    {AT(holds_over), "DELETE FROM unique_hold WHERE until < ?1"
                     " AND ifnull(until_boot, 0) < ?2"},
    {AT(hold_over), "DELETE FROM unique_hold WHERE queue = ?1 AND key = ?2"},
    {AT(mark), "UPDATE job SET cancel = ?2, text = ?3"
               " WHERE id = ?1 AND state < 4"},
    {AT(holds), "SELECT queue, key, id, until, until_boot FROM unique_hold"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

#define LONG_OVER 86400000 /* ms: also when the clock was set back */

int spawn_store_prepare_order(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_order(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static bool get_id(sqlite3_stmt *s, int column, spawn_id *ret)
{
    const void *blob = sqlite3_column_blob(s, column);

    if (!blob || sqlite3_column_bytes(s, column) != SPAWN_ID_SIZE)
        return false;
    memcpy(ret->bytes, blob, SPAWN_ID_SIZE);
    return true;
}

/* ---- jobs that it comes after ---- */

static int of_need(sqlite3_stmt *s, const spawn_job *job, const spawn_id *id)
{
    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_blob(s, 2, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    return spawn_sql_step(s);
}

int spawn_store_put_needs(spawn_store *store, const spawn_job *job)
{
    const spawn_needs *needs = job->needs;
    unsigned i;

    for (i = 0; i < needs->count; i++) {
        if (needs->need[i].open
            && of_need(store->order.need, job, &needs->need[i].id))
            return -1;
    }
    return 0;
}

int spawn_store_update_needs(spawn_store *store, const spawn_job *job)
{
    const spawn_needs *needs = job->needs;
    sqlite3_stmt *gone = store->order.needs_gone;
    unsigned i;

    if (needs->open == 0 || job->state == SPAWN_STATE_DONE) {
        (void)sqlite3_bind_int64(gone, 1, job->seq);
        return spawn_sql_step(gone);
    }
    for (i = 0; i < needs->count; i++) {
        if (!needs->need[i].open
            && of_need(store->order.need_over, job, &needs->need[i].id))
            return -1;
    }
    return 0;
}

int spawn_store_needs(spawn_store *store, int64_t seq, uint8_t *ids,
                      unsigned *ret_count)
{
    sqlite3_stmt *s = store->order.needs;
    spawn_id id;
    int rv;

    *ret_count = 0;
    (void)sqlite3_bind_int64(s, 1, seq);
    while ((rv = sqlite3_step(s)) == SQLITE_ROW
           && *ret_count < SPAWN_AFTER_MAX) {
        if (!get_id(s, 0, &id))
            continue;
        memcpy(ids + (size_t)*ret_count * SPAWN_ID_SIZE, id.bytes,
               SPAWN_ID_SIZE);
        ++*ret_count;
    }
    spawn_sql_reset(s);
    return rv == SQLITE_DONE || rv == SQLITE_ROW ? 0 : -1;
}

int spawn_store_outcome(spawn_store *store, const spawn_id *id,
                        spawn_known_end *ret)
{
    sqlite3_stmt *s = store->order.outcome;
    int rv;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        bool function = sqlite3_column_type(s, 3) != SQLITE_NULL;

        ret->done = sqlite3_column_int(s, 0) == SPAWN_STATE_DONE;
        ret->outcome = (spawn_outcome)sqlite3_column_int(s, 1);
        ret->exit_code = sqlite3_column_int(s, 2);
        ret->signo = sqlite3_column_int(s, 4);
        ret->died = function && sqlite3_column_int(s, 3) == SPAWN_RESULT_DIED;
        ret->good = function ? sqlite3_column_int(s, 3) == SPAWN_RESULT_RETURNED
                             : ret->outcome == SPAWN_OUTCOME_EXITED
                                   && ret->exit_code == 0;
    }
    spawn_sql_reset(s);
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}

/* ---- jobs that are replaced ---- */

int spawn_store_mark_replaced(spawn_store *store, const spawn_job *by)
{
    char id[SPAWN_ID_TEXT], text[200];
    const spawn_claim *c = spawn_claim_replaced(by, NULL);
    sqlite3_stmt *s = store->order.mark;

    (void)snprintf(text, sizeof(text), SPAWN_REPLACED_BY,
                   spawn_id_format(&by->id, id));
    for (; c; c = spawn_claim_replaced(by, c)) {
        (void)sqlite3_bind_blob(s, 1, c->job->id.bytes, SPAWN_ID_SIZE,
                                SQLITE_STATIC);
        (void)sqlite3_bind_int(s, 2, SIGTERM);
        (void)sqlite3_bind_text(s, 3, text, -1, SQLITE_STATIC);
        if (spawn_sql_step(s))
            return -1;
        /* the ledger would have it run */
        if (c->job->ledger && !c->job->in_store
            && c->job->state == SPAWN_STATE_QUEUED
            && sqlite3_changes(store->db) == 0)
            return -1;
    }
    return 0;
}

/* ---- keys of jobs that have ended ---- */

int spawn_store_hold(spawn_store *store, const spawn_job *job)
{
    sqlite3_stmt *s = store->order.hold, *over = store->order.holds_over;
    const spawn_claim *c = job->claim;

    (void)sqlite3_bind_int64(over, 1, spawn_wall_ms() - LONG_OVER);
    (void)sqlite3_bind_int64(over, 2, spawn_boot_ms());
    if (spawn_sql_step(over))
        return -1;
    (void)sqlite3_bind_text(s, 1, job->queue->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, spawn_key_name(c->key), -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(s, 3, job->id.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 4, c->until.wall);
    if (c->until.boot) /* else the time of day decides */
        (void)sqlite3_bind_int64(s, 5, c->until.boot);
    return spawn_sql_step(s);
}

int spawn_store_hold_over(spawn_store *store, const spawn_job *job)
{
    sqlite3_stmt *s = store->order.hold_over;

    (void)sqlite3_bind_text(s, 1, job->queue->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, spawn_key_name(job->claim->key), -1,
                            SQLITE_STATIC);
    return spawn_sql_step(s);
}

int spawn_store_holds(spawn_store *store)
{
    sqlite3_stmt *s = store->order.holds;
    spawn_moment until = {0};
    spawn_id id;
    int rv;

    while ((rv = sqlite3_step(s)) == SQLITE_ROW) {
        const char *queue = (const char *)sqlite3_column_text(s, 0);
        const char *key = (const char *)sqlite3_column_text(s, 1);

        until.wall = sqlite3_column_int64(s, 3);
        until.boot = sqlite3_column_int64(s, 4);
        if (queue && key && get_id(s, 2, &id))
            spawn_key_hold(queue, key, &id, &until);
    }
    spawn_sql_reset(s);
    return rv == SQLITE_DONE ? 0 : -1;
}
