/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes on recurring jobs. Runs in the broker. Each row is written in a
 * transaction of its own, between two turns: never before the run that it tells
 * of is stored.
 *
 * The end of the last run is copied into the row, since the history forgets
 * jobs sooner than a yearly one comes again.
 */
#include <string.h>

#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, cron.name)
static const spawn_statement all[] = {
    {AT(read), "SELECT plan, done, round, paused, id, planned, ended, outcome,"
               " exit_code, signal, started_at, ended_at, shown FROM cron"
               " WHERE name = ?1"},
    {AT(write),
     "INSERT OR REPLACE INTO cron(name, plan, done, round, paused,"
     " id, planned, ended, outcome, exit_code, signal, started_at,"
     " ended_at, shown, configured) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
     " ?9, ?10, ?11, ?12, ?13, ?14, 1)"},
    {AT(any), "SELECT count(*) FROM cron"},
    {AT(unmark), "UPDATE cron SET configured = 0"},
    {AT(mark), "UPDATE cron SET configured = 1 WHERE name = ?1"},
    {AT(drop), "DELETE FROM cron WHERE configured = 0"},
    {AT(end), "SELECT state, outcome, exit_code, signal, started_at, ended_at"
              " FROM job WHERE id = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_cron(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_cron(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static int number_or(sqlite3_stmt *s, int column, int other)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL
               ? other
               : sqlite3_column_int(s, column);
}

static void take_run(sqlite3_stmt *s, spawn_cron_row *ret)
{
    const void *id = sqlite3_column_blob(s, 4);

    ret->has_run = id && sqlite3_column_bytes(s, 4) == SPAWN_ID_SIZE;
    if (!ret->has_run)
        return;
    memcpy(ret->id.bytes, id, SPAWN_ID_SIZE);
    ret->planned = sqlite3_column_int64(s, 5);
    ret->ended = sqlite3_column_int(s, 6) != 0;
    ret->outcome = (unsigned)sqlite3_column_int(s, 7);
    ret->exit_code = number_or(s, 8, -1);
    ret->signo = sqlite3_column_int(s, 9);
    ret->started_at = sqlite3_column_int64(s, 10);
    ret->ended_at = sqlite3_column_int64(s, 11);
}

int spawn_store_cron_read(spawn_store *store, const char *name,
                          const char *plan, spawn_cron_row *ret,
                          bool *ret_same_plan)
{
    sqlite3_stmt *s = store->cron.read;
    int rv;

    (void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        const char *was = (const char *)sqlite3_column_text(s, 0);

        *ret_same_plan = was && strcmp(was, plan) == 0;
        ret->done = sqlite3_column_int64(s, 1);
        ret->round = sqlite3_column_int64(s, 2);
        ret->paused = sqlite3_column_int64(s, 3);
        ret->shown = sqlite3_column_int64(s, 12);
        take_run(s, ret);
    }
    spawn_sql_reset(s);
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}

static int write_alone(spawn_store *store, sqlite3_stmt *s)
{
    if (spawn_sql_begin(store) || spawn_sql_step(s)
        || spawn_sql_commit(store)) {
        spawn_sql_rollback(store);
        spawn_sql_reset(s); /* else the next row has what this one had */
        return -1;
    }
    return 0;
}

int spawn_store_cron_write(spawn_store *store, const spawn_cron_row *row)
{
    sqlite3_stmt *s = store->cron.write;

    (void)sqlite3_bind_text(s, 1, row->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, row->plan, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 3, row->done);
    (void)sqlite3_bind_int64(s, 4, row->round);
    (void)sqlite3_bind_int64(s, 5, row->paused);
    (void)sqlite3_bind_int64(s, 14, row->shown);
    if (row->has_run) {
        (void)sqlite3_bind_blob(s, 6, row->id.bytes, SPAWN_ID_SIZE,
                                SQLITE_STATIC);
        (void)sqlite3_bind_int64(s, 7, row->planned);
        (void)sqlite3_bind_int(s, 8, row->ended);
        (void)sqlite3_bind_int(s, 9, (int)row->outcome);
        if (row->exit_code >= 0)
            (void)sqlite3_bind_int(s, 10, row->exit_code);
        (void)sqlite3_bind_int(s, 11, row->signo);
        (void)sqlite3_bind_int64(s, 12, row->started_at);
        (void)sqlite3_bind_int64(s, 13, row->ended_at);
    }
    return write_alone(store, s);
}

int spawn_store_cron_keep(spawn_store *store, const char *const *names,
                          size_t count)
{
    size_t i;

    if (count == 0 && spawn_sql_number(store->cron.any) == 0)
        return 0;
    if (spawn_sql_begin(store) || spawn_sql_step(store->cron.unmark))
        goto bad;
    for (i = 0; i < count; i++) {
        (void)sqlite3_bind_text(store->cron.mark, 1, names[i], -1,
                                SQLITE_STATIC);
        if (spawn_sql_step(store->cron.mark))
            goto bad;
    }
    if (spawn_sql_step(store->cron.drop) || spawn_sql_commit(store))
        goto bad;
    return 0;
bad:
    spawn_sql_rollback(store);
    return -1;
}

int spawn_store_cron_end(spawn_store *store, spawn_cron_row *row)
{
    sqlite3_stmt *s = store->cron.end;
    int rv;

    (void)sqlite3_bind_blob(s, 1, row->id.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW && sqlite3_column_int(s, 0) == (int)SPAWN_STATE_DONE) {
        row->ended = true;
        row->outcome = (unsigned)sqlite3_column_int(s, 1);
        row->exit_code = number_or(s, 2, -1);
        row->signo = sqlite3_column_int(s, 3);
        row->started_at = sqlite3_column_int64(s, 4);
        row->ended_at = sqlite3_column_int64(s, 5);
    }
    if (rv == SQLITE_DONE) /* forgotten */
        row->ended = true;
    spawn_sql_reset(s);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}
