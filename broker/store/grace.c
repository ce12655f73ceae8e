/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that were sent TERM, and when the rest of their group gets KILL: for the
 * next broker, when this one, or the spawner too, was killed meanwhile. Runs in
 * the broker. A row must be stored by itself before TERM goes out, and not with
 * the turn, which may end after both were killed.
 *
 * Each row names the boot of its numbers, since an older release may open the
 * store and leave the rows as they are over a reboot.
 */
#include <string.h>

#include "common/spawn_os.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, grace.name)
static const spawn_statement all[] = {
    {AT(note), "INSERT OR REPLACE INTO grace(id, boot, pid, noted, until,"
               " timed_out) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
    {AT(drop), "DELETE FROM grace WHERE id = ?1"},
    {AT(all), "SELECT id, pid, noted, until, timed_out FROM grace"
              " WHERE boot = ?1 ORDER BY id"},
    {AT(drop_others), "DELETE FROM grace WHERE boot <> ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_grace(spawn_store *store)
{
    (void)spawn_os_boot_id(store->grace.boot);
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_grace(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static int write_alone(spawn_store *store, sqlite3_stmt *s)
{
    if (spawn_sql_begin(store) || spawn_sql_step(s)
        || spawn_sql_commit(store)) {
        spawn_sql_rollback(store);
        return -1;
    }
    return 0;
}

int spawn_store_grace_note(spawn_store *store, const spawn_grace *g)
{
    sqlite3_stmt *s = store->grace.note;

    (void)sqlite3_bind_blob(s, 1, g->id.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, store->grace.boot, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 3, g->pid);
    (void)sqlite3_bind_int64(s, 4, g->noted);
    (void)sqlite3_bind_int64(s, 5, g->until);
    (void)sqlite3_bind_int(s, 6, g->timed_out);
    return write_alone(store, s);
}

static sqlite3_stmt *drop_of(spawn_store *store, const spawn_id *id)
{
    sqlite3_stmt *s = store->grace.drop;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    return s;
}

int spawn_store_grace_over(spawn_store *store, const spawn_id *id)
{
    return write_alone(store, drop_of(store, id));
}

int spawn_store_drop_grace(spawn_store *store, const spawn_id *id)
{
    return spawn_sql_step(drop_of(store, id));
}

int spawn_store_graces(spawn_store *store, void (*row)(const spawn_grace *g))
{
    spawn_part_grace *part = &store->grace;
    sqlite3_stmt *s = part->all;
    int rv;

    (void)sqlite3_bind_text(part->drop_others, 1, part->boot, -1,
                            SQLITE_STATIC);
    (void)write_alone(store,
                      part->drop_others); /* else the next broker tries */
    (void)sqlite3_bind_text(s, 1, part->boot, -1, SQLITE_STATIC);
    while ((rv = sqlite3_step(s)) == SQLITE_ROW) {
        const void *id = sqlite3_column_blob(s, 0);
        spawn_grace g;

        if (sqlite3_column_bytes(s, 0) != SPAWN_ID_SIZE)
            continue;
        memcpy(g.id.bytes, id, SPAWN_ID_SIZE);
        g.pid = (pid_t)sqlite3_column_int64(s, 1);
        g.noted = sqlite3_column_int64(s, 2);
        g.until = sqlite3_column_int64(s, 3);
        g.timed_out = sqlite3_column_int(s, 4) != 0;
        row(&g);
    }
    spawn_sql_reset(s);
    return rv == SQLITE_DONE ? 0 : -1;
}
