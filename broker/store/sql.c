/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's database: statements and transactions, whatever they are about.
 */
#include "broker/store/sql.h"

sqlite3 *spawn_db;

int spawn_sql_prepare(const spawn_statement *all, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (sqlite3_prepare_v3(spawn_db, all[i].sql, -1,
                               SQLITE_PREPARE_PERSISTENT, all[i].statement,
                               NULL)
            != SQLITE_OK)
            return -1;
    }
    return 0;
}

void spawn_sql_finish(const spawn_statement *all, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        (void)sqlite3_finalize(*all[i].statement);
        *all[i].statement = NULL;
    }
}

void spawn_sql_reset(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
}

int spawn_sql_step(sqlite3_stmt *s)
{
    int rv = sqlite3_step(s);

    spawn_sql_reset(s);
    return rv == SQLITE_DONE ? 0 : -1;
}

/* ---- transactions ---- */

static sqlite3_stmt *st_begin, *st_commit, *st_rollback;

static const spawn_statement all[] = {
    {&st_begin, "BEGIN IMMEDIATE"},
    {&st_commit, "COMMIT"},
    {&st_rollback, "ROLLBACK"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_sql_prepare_transactions(void)
{
    return spawn_sql_prepare(all, STATEMENTS);
}

void spawn_sql_finish_transactions(void)
{
    spawn_sql_finish(all, STATEMENTS);
}

int spawn_sql_begin(void)
{
    return spawn_sql_step(st_begin);
}

int spawn_sql_commit(void)
{
    return spawn_sql_step(st_commit);
}

void spawn_sql_rollback(void)
{
    /* Some errors have rolled back already. */
    if (!sqlite3_get_autocommit(spawn_db))
        (void)spawn_sql_step(st_rollback);
}
