/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's database: statements and transactions of all files. Runs in the
 * broker. Must know nothing of jobs.
 */
#include "broker/store/sql.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

static sqlite3_stmt **statement(spawn_store *store, const spawn_statement *s)
{
    return (sqlite3_stmt **)(void *)((char *)store + s->at);
}

int spawn_sql_prepare(spawn_store *store, const spawn_statement *all,
                      size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (sqlite3_prepare_v3(store->db, all[i].sql, -1,
                               SQLITE_PREPARE_PERSISTENT,
                               statement(store, &all[i]), NULL)
            != SQLITE_OK)
            return -1;
    }
    return 0;
}

void spawn_sql_finish(spawn_store *store, const spawn_statement *all,
                      size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        sqlite3_stmt **s = statement(store, &all[i]);

        (void)sqlite3_finalize(*s);
        *s = NULL;
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

#define AT(name) offsetof(spawn_store, sql.name)
static const spawn_statement all[] = {
    {AT(begin), "BEGIN IMMEDIATE"}, {AT(commit), "COMMIT"},
    {AT(rollback), "ROLLBACK"},     {AT(pages), "PRAGMA page_count"},
    {AT(size), "PRAGMA page_size"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_sql_prepare_transactions(spawn_store *store)
{
    spawn_part_sql *t = &store->sql;

    if (spawn_sql_prepare(store, all, STATEMENTS))
        return -1;
    /* Without a chunk size SQLite does not let the file grow on demand. With
     * more than a page it would set a length for which there is no room. */
    t->page = (int)spawn_sql_number(t->size);
    (void)sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_CHUNK_SIZE,
                               &t->page);
    return 0;
}

void spawn_sql_finish_transactions(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

int spawn_sql_begin(spawn_store *store)
{
    return spawn_sql_step(store->sql.begin);
}

/* A file that fails to grow takes the room that there is, so look first. */
static bool disk_has(spawn_store *store, int64_t size)
{
    const char *path = sqlite3_db_filename(store->db, NULL);
    struct statvfs disk;
    struct stat st;

    if (stat(path, &st) < 0 || size <= st.st_size || statvfs(path, &disk) < 0)
        return true; /* removed: only a try can tell */
    return (uint64_t)(size - st.st_size)
           <= (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* Make room in the file for the pages of the transaction before it commits, so
 * that a checkpoint never needs room and the log can always begin anew. */
static int grow(spawn_store *store)
{
    spawn_part_sql *t = &store->sql;
    sqlite3_int64 size = spawn_sql_number(t->pages) * t->page;

    t->outgrown =
        !disk_has(store, size)
        || sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_SIZE_HINT, &size)
               != SQLITE_OK;
    return t->outgrown ? -1 : 0;
}

int spawn_sql_commit(spawn_store *store)
{
    return grow(store) || spawn_sql_step(store->sql.commit) ? -1 : 0;
}

void spawn_sql_rollback(spawn_store *store)
{
    spawn_part_sql *t = &store->sql;

    t->outgrown = false;
    /* some errors have rolled back already */
    if (!sqlite3_get_autocommit(store->db))
        (void)spawn_sql_step(t->rollback);
}

bool spawn_sql_outgrown(const spawn_store *store)
{
    return store->sql.outgrown;
}
