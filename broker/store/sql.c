/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's database: statements and transactions, whatever they are about.
 */
#include "broker/store/sql.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

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

int64_t spawn_sql_number(sqlite3_stmt *s)
{
    int64_t n = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

    spawn_sql_reset(s);
    return n;
}

/* ---- transactions ---- */

static sqlite3_stmt *st_begin, *st_commit, *st_rollback, *st_pages, *st_size;
static bool outgrown; /* no room for the pages of the transaction */

static const spawn_statement all[] = {
    {&st_begin, "BEGIN IMMEDIATE"}, {&st_commit, "COMMIT"},
    {&st_rollback, "ROLLBACK"},     {&st_pages, "PRAGMA page_count"},
    {&st_size, "PRAGMA page_size"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_sql_prepare_transactions(void)
{
    int page;

    if (spawn_sql_prepare(all, STATEMENTS))
        return -1;
    /* Without it the file cannot be told to grow. By more than a page at a time
     * it would be cut to a length that it has no room for. */
    page = (int)spawn_sql_number(st_size);
    (void)sqlite3_file_control(spawn_db, NULL, SQLITE_FCNTL_CHUNK_SIZE, &page);
    return 0;
}

void spawn_sql_finish_transactions(void)
{
    spawn_sql_finish(all, STATEMENTS);
}

int spawn_sql_begin(void)
{
    return spawn_sql_step(st_begin);
}

/* What is told to grow in vain takes what there is. */
static bool disk_has(int64_t size)
{
    const char *path = sqlite3_db_filename(spawn_db, NULL);
    struct statvfs disk;
    struct stat st;

    if (stat(path, &st) < 0 || size <= st.st_size || statvfs(path, &disk) < 0)
        return true; /* removed: to try it is all that is left */
    return (uint64_t)(size - st.st_size)
           <= (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* What is committed has its place in the file before, so that a checkpoint
 * never needs room: the log can always begin anew. */
static int grow(void)
{
    sqlite3_int64 size = spawn_sql_number(st_pages) * spawn_sql_number(st_size);

    outgrown =
        !disk_has(size)
        || sqlite3_file_control(spawn_db, NULL, SQLITE_FCNTL_SIZE_HINT, &size)
               != SQLITE_OK;
    return outgrown ? -1 : 0;
}

int spawn_sql_commit(void)
{
    return grow() || spawn_sql_step(st_commit) ? -1 : 0;
}

void spawn_sql_rollback(void)
{
    outgrown = false;
    /* Some errors have rolled back already. */
    if (!sqlite3_get_autocommit(spawn_db))
        (void)spawn_sql_step(st_rollback);
}

bool spawn_sql_outgrown(void)
{
    return outgrown;
}
