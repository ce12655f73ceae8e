/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store keeps and for how long, and what it notes about itself. Runs
 * in the broker.
 */
#include <string.h>

#include "../common/spawn_os.h"
#include "store.h"

/* A caller that got no answer may send again: its job must still be known. */
#define KEEP_AT_LEAST 120000 /* ms */

static sqlite3_stmt *st_get, *st_set, *st_count, *st_oldest, *st_drop,
    *st_drop_output;
static sqlite3_stmt **const all[] = {&st_get,    &st_set,  &st_count,
                                     &st_oldest, &st_drop, &st_drop_output};

static uint64_t done_count;
static uint64_t watermark;

static void finish(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
}

static int step(sqlite3_stmt *s)
{
    int rv = sqlite3_step(s);

    finish(s);
    return rv == SQLITE_DONE ? 0 : -1;
}

static int get_number(sqlite3_stmt *s, uint64_t *ret)
{
    int rv = sqlite3_step(s);

    if (rv == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(s, 0);
    finish(s);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_prepare_history(void)
{
    if (spawn_store_prepare(&st_get, "SELECT value FROM meta WHERE key = ?1")
        || spawn_store_prepare(&st_set,
                               "INSERT INTO meta(key, value) VALUES(?1, ?2)"
                               " ON CONFLICT(key) DO UPDATE SET value = ?2")
        || spawn_store_prepare(&st_count,
                               "SELECT count(*) FROM job WHERE state = 4")
        || spawn_store_prepare(
            &st_oldest, "SELECT seq, id, ended_at FROM job WHERE state = 4 AND"
                        " ended_at < ?1 ORDER BY ended_at LIMIT ?2")
        || spawn_store_prepare(&st_drop, "DELETE FROM job WHERE seq = ?1")
        || spawn_store_prepare(&st_drop_output,
                               "DELETE FROM output WHERE seq = ?1"))
        return -1;
    (void)sqlite3_bind_text(st_get, 1, "watermark", -1, SQLITE_STATIC);
    return get_number(st_get, &watermark) || get_number(st_count, &done_count)
               ? -1
               : 0;
}

void spawn_store_finish_history(void)
{
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        (void)sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

int spawn_store_boot(char *ret_last)
{
    char now[37] = "";
    const char *text;
    int rv;

    (void)spawn_os_boot_id(now);
    ret_last[0] = '\0';
    (void)sqlite3_bind_text(st_get, 1, "boot_id", -1, SQLITE_STATIC);
    rv = sqlite3_step(st_get);
    if (rv == SQLITE_ROW) {
        text = (const char *)sqlite3_column_text(st_get, 0);
        if (text && strlen(text) == 36)
            memcpy(ret_last, text, 37);
    }
    finish(st_get);
    if (rv != SQLITE_ROW && rv != SQLITE_DONE)
        return -1;
    (void)sqlite3_bind_text(st_set, 1, "boot_id", -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st_set, 2, now, -1, SQLITE_STATIC);
    return step(st_set);
}

uint64_t spawn_store_newest(void)
{
    uint64_t newest = UINT64_MAX;
    sqlite3_stmt *s = NULL;
    spawn_id id;

    if (spawn_store_prepare(&s, "SELECT max(id) FROM job") == 0
        && sqlite3_step(s) == SQLITE_ROW) {
        newest = 0;
        if (sqlite3_column_bytes(s, 0) == SPAWN_ID_SIZE) {
            memcpy(id.bytes, sqlite3_column_blob(s, 0), SPAWN_ID_SIZE);
            newest = spawn_id_time(&id);
        }
    }
    (void)sqlite3_finalize(s);
    return newest;
}

uint64_t spawn_store_watermark(void)
{
    return watermark;
}

void spawn_store_count_done(void)
{
    done_count++;
}

static int drop(int64_t seq)
{
    (void)sqlite3_bind_int64(st_drop, 1, seq);
    (void)sqlite3_bind_int64(st_drop_output, 1, seq);
    return step(st_drop) || step(st_drop_output) ? -1 : 0;
}

/* Which ended jobs go now: the oldest, so many as are over the count, or whose
 * age is. */
static int choose(uint64_t keep_jobs, int64_t keep_ms, int64_t *seqs,
                  uint64_t *ret_newest)
{
    uint64_t over = done_count > keep_jobs ? done_count - keep_jobs : 0;
    int64_t now = spawn_wall_ms();
    int count = 0;

    (void)sqlite3_bind_int64(st_oldest, 1, now - KEEP_AT_LEAST);
    (void)sqlite3_bind_int(st_oldest, 2, SPAWN_PRUNE_BATCH);
    while (sqlite3_step(st_oldest) == SQLITE_ROW) {
        const void *id = sqlite3_column_blob(st_oldest, 1);
        int64_t ended_at = sqlite3_column_int64(st_oldest, 2);
        spawn_id copy;

        if ((uint64_t)count >= over
            && (keep_ms == 0 || ended_at >= now - keep_ms))
            break;
        seqs[count++] = sqlite3_column_int64(st_oldest, 0);
        if (!id || sqlite3_column_bytes(st_oldest, 1) != SPAWN_ID_SIZE)
            continue;
        memcpy(copy.bytes, id, SPAWN_ID_SIZE);
        if (spawn_id_time(&copy) > *ret_newest)
            *ret_newest = spawn_id_time(&copy);
    }
    finish(st_oldest);
    return count;
}

int spawn_store_prune(uint64_t keep_jobs, int64_t keep_ms)
{
    int64_t seqs[SPAWN_PRUNE_BATCH];
    uint64_t newest = watermark;
    int count = choose(keep_jobs, keep_ms, seqs, &newest);
    int i;

    if (count == 0)
        return 0;
    if (spawn_store_begin())
        return -1;
    for (i = 0; i < count; i++) {
        if (drop(seqs[i]))
            goto bad;
    }
    (void)sqlite3_bind_text(st_set, 1, "watermark", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st_set, 2, (int64_t)newest);
    if (step(st_set) || spawn_store_commit())
        goto bad;
    watermark = newest;
    done_count -= (uint64_t)count < done_count ? (uint64_t)count : done_count;
    return count;
bad:
    spawn_store_rollback();
    return -1;
}
