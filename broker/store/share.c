/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store knows of jobs of shared queues: a row beside the job's, which
 * goes with it. Runs in the broker.
 */
#include <stdio.h>
#include <string.h>

#include "broker/job/share.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, share.name)
static const spawn_statement all[] = {
    {AT(put), "INSERT OR REPLACE INTO share(seq, role, stage, host, told)"
              " VALUES(?1, ?2, ?3, ?4, ?5)"},
    {AT(get), "SELECT role, stage, host, told FROM share WHERE seq = ?1"},
    {AT(told), "UPDATE share SET told = 1"
               " WHERE seq = (SELECT seq FROM job WHERE id = ?1)"},
    {AT(untold), "SELECT share.seq, job.id, share.host, job.attempt"
                 " FROM share JOIN job ON job.seq = share.seq"
                 " WHERE share.told = 0 AND share.role = 2"
                 " AND share.seq > ?1 AND job.state = 4"
                 " ORDER BY share.seq LIMIT 1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_share(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_share(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

int spawn_store_put_share(spawn_store *store, const spawn_job *job)
{
    const spawn_share *share = job->share;
    sqlite3_stmt *s = store->share.put;

    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, share->role);
    (void)sqlite3_bind_int(s, 3, share->stage);
    (void)sqlite3_bind_text(s, 4, share->host, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 5, 0);
    return spawn_sql_step(s);
}

int spawn_store_share(spawn_store *store, int64_t seq, spawn_share *ret)
{
    sqlite3_stmt *s = store->share.get;
    const char *host;
    int rv;

    (void)sqlite3_bind_int64(s, 1, seq);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        memset(ret, 0, sizeof(*ret));
        ret->role = (uint8_t)sqlite3_column_int(s, 0);
        ret->stage = (uint8_t)sqlite3_column_int(s, 1);
        host = (const char *)sqlite3_column_text(s, 2);
        (void)snprintf(ret->host, sizeof(ret->host), "%s", host ? host : "");
        ret->told_end = sqlite3_column_int(s, 3) != 0;
    }
    spawn_sql_reset(s);
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_share_told(spawn_store *store, const spawn_id *id)
{
    sqlite3_stmt *s = store->share.told;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    return spawn_sql_step(s);
}

int spawn_store_share_untold(spawn_store *store, int64_t after,
                             spawn_untold *ret)
{
    sqlite3_stmt *s = store->share.untold;
    const void *id;
    const char *host;
    int rv;

    (void)sqlite3_bind_int64(s, 1, after);
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        memset(ret, 0, sizeof(*ret));
        ret->seq = sqlite3_column_int64(s, 0);
        id = sqlite3_column_blob(s, 1);
        if (id && sqlite3_column_bytes(s, 1) == SPAWN_ID_SIZE)
            memcpy(ret->id.bytes, id, SPAWN_ID_SIZE);
        host = (const char *)sqlite3_column_text(s, 2);
        (void)snprintf(ret->host, sizeof(ret->host), "%s", host ? host : "");
        ret->attempt = (unsigned)sqlite3_column_int(s, 3);
    }
    spawn_sql_reset(s);
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}
