/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of queues that were made by hand, kept so that they outlive brokers
 * and restarts. Runs in the broker. Each change is written in a transaction of
 * its own, before its caller is answered. A release that does not know this
 * table leaves it alone.
 */
#include <string.h>

#include "common/spawn_name.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, control.name)
static const spawn_statement all[] = {
    {AT(read), "SELECT queue, mode, scale, changed, uid FROM queue_control"},
    {AT(write), "INSERT OR REPLACE INTO queue_control(queue, mode, scale,"
                " changed, uid) VALUES(?1, ?2, ?3, ?4, ?5)"},
    {AT(drop), "DELETE FROM queue_control WHERE queue = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_control(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_control(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

/* A row that makes no sense is passed over: a queue that runs as httpd.conf
 * says is better than none. */
static void take_row(sqlite3_stmt *s)
{
    const char *name = (const char *)sqlite3_column_text(s, 0);
    int64_t mode = sqlite3_column_int64(s, 1);
    int64_t scale = sqlite3_column_int64(s, 2);
    const spawn_queue_control control = {.mode = (uint8_t)mode,
                                         .scale = (uint64_t)scale,
                                         .changed = sqlite3_column_int64(s, 3),
                                         .uid = sqlite3_column_int64(s, 4)};

    if (name && spawn_queue_name_ok(name) && mode >= SPAWN_QUEUE_OPEN
        && mode <= SPAWN_QUEUE_BOTH && scale >= 0
        && scale <= SPAWN_QUEUE_SCALE_MAX)
        spawn_queue_change(spawn_queue_get(name), &control);
}

int spawn_store_controls(spawn_store *store)
{
    sqlite3_stmt *s = store->control.read;
    int rv;

    while ((rv = sqlite3_step(s)) == SQLITE_ROW)
        take_row(s);
    spawn_sql_reset(s);
    return rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_control(spawn_store *store, const char *queue,
                        const spawn_queue_control *control)
{
    bool any = control->mode != SPAWN_QUEUE_OPEN || control->scale;
    sqlite3_stmt *s = any ? store->control.write : store->control.drop;

    (void)sqlite3_bind_text(s, 1, queue, -1, SQLITE_STATIC);
    if (any) {
        (void)sqlite3_bind_int(s, 2, control->mode);
        (void)sqlite3_bind_int64(s, 3, (int64_t)control->scale);
        (void)sqlite3_bind_int64(s, 4, control->changed);
        (void)sqlite3_bind_int64(s, 5, control->uid);
    }
    if (spawn_sql_begin(store) || spawn_sql_step(s)
        || spawn_sql_commit(store)) {
        spawn_sql_rollback(store);
        return -1;
    }
    return 0;
}
