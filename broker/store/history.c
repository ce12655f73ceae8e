/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store keeps and for how long, and what it notes about itself. Runs
 * in the broker.
 */
#include <string.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

/* A caller that got no answer may send again: its job must still be known. By
 * the clock that never jumps: no wrong time of day may shorten it. */
#define KEEP_AT_LEAST 120000 /* ms */

/* Of a right clock no id that was forgotten is younger than this: jobs stay for
 * KEEP_AT_LEAST after their end, and ids are taken up to a minute ahead. */
#define SURE_AFTER 60000 /* ms */

static sqlite3_stmt *st_get, *st_set, *st_count, *st_last, *st_aged, *st_oldest,
    *st_drop, *st_drop_output;
static const spawn_statement all[] = {
    {&st_get, "SELECT value FROM meta WHERE key = ?1"},
    {&st_set, "INSERT INTO meta(key, value) VALUES(?1, ?2)"
              " ON CONFLICT(key) DO UPDATE SET value = ?2"},
    {&st_count, "SELECT count(*) FROM job WHERE state = 4"},
    {&st_last, "SELECT max(end_seq) FROM job WHERE state = 4"},
    /* a job that ended before one that is over the age is over it too, whatever
     * the clock said then */
    {&st_aged, "SELECT max(end_seq) FROM job WHERE state = 4"
               " AND ended_at < ?1"},
    {&st_oldest, "SELECT seq, id, end_seq FROM job WHERE state = 4 AND"
                 " end_seq <= ?1 ORDER BY end_seq LIMIT ?2"},
    {&st_drop, "DELETE FROM job WHERE seq = ?1"},
    {&st_drop_output, "DELETE FROM output WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

static uint64_t done_count;
static int64_t last_end; /* the newest job's place in the order of ends */

/* Ids up to this time may have been forgotten. The clock was ahead when it is
 * not long past: then only those up to `sure` count, so that a wrong clock
 * cannot close the store to right ids. */
static uint64_t watermark;
static uint64_t sure;
static bool set_back;

/* Which ends were KEEP_AT_LEAST ago: a few notes of the last minutes. */
#define NOTES      16
#define NOTE_EVERY 10000 /* ms */
static struct {
    int64_t at; /* as spawn_boot_ms */
    int64_t end;
} notes[NOTES];
static unsigned notes_used, last_note;

static int get_number(sqlite3_stmt *s, uint64_t *ret)
{
    int rv = sqlite3_step(s);

    if (rv == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(s, 0);
    spawn_sql_reset(s);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_prepare_history(void)
{
    uint64_t last = 0;

    if (spawn_sql_prepare(all, STATEMENTS))
        return -1;
    (void)sqlite3_bind_text(st_get, 1, "watermark", -1, SQLITE_STATIC);
    if (get_number(st_get, &watermark) || get_number(st_count, &done_count)
        || get_number(st_last, &last))
        return -1;
    last_end = (int64_t)last;
    notes_used = 0;
    spawn_store_note();
    return 0;
}

void spawn_store_finish_history(void)
{
    spawn_sql_finish(all, STATEMENTS);
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
    spawn_sql_reset(st_get);
    if (rv != SQLITE_ROW && rv != SQLITE_DONE)
        return -1;
    (void)sqlite3_bind_text(st_set, 1, "boot_id", -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(st_set, 2, now, -1, SQLITE_STATIC);
    return spawn_sql_step(st_set);
}

uint64_t spawn_store_newest(void)
{
    uint64_t newest = UINT64_MAX;
    sqlite3_stmt *s = NULL;
    spawn_id id;

    if (sqlite3_prepare_v2(spawn_db, "SELECT max(id) FROM job", -1, &s, NULL)
            == SQLITE_OK
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

/* ---- what may have been forgotten ---- */

static uint64_t sure_by_now(void)
{
    int64_t now = spawn_wall_ms();

    return now > SURE_AFTER ? (uint64_t)(now - SURE_AFTER) : 0;
}

/* A job of this time is forgotten. */
static void forget(uint64_t time)
{
    if (time > watermark)
        watermark = time;
    if (set_back && time > sure && time <= sure_by_now())
        sure = time;
}

bool spawn_store_forgotten(const spawn_id *id)
{
    uint64_t time = spawn_id_time(id);
    uint64_t now = sure_by_now();

    if (now >= watermark) {
        set_back = false;
        return time < watermark;
    }
    if (!set_back)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0660) "the clock was set back, or was ahead, by some "
                             "%llu s: the history had jobs of a time that has "
                             "not come; new jobs are taken all the same",
                  (unsigned long long)((watermark - now) / 1000));
    if (!set_back || sure > now)
        sure = now;
    set_back = true;
    return time < sure;
}

void spawn_store_count_done(void)
{
    done_count++;
}

int64_t spawn_store_next_end(void)
{
    return ++last_end;
}

void spawn_store_note(void)
{
    int64_t now = spawn_boot_ms();

    if (notes_used && now - notes[last_note].at < NOTE_EVERY)
        return;
    last_note = notes_used ? (last_note + 1) % NOTES : 0;
    if (notes_used < NOTES)
        notes_used++;
    notes[last_note].at = now;
    notes[last_note].end = last_end;
}

/* The last end that was KEEP_AT_LEAST ago; -1: none that we know of. */
static int64_t old_enough(void)
{
    int64_t before = spawn_boot_ms() - KEEP_AT_LEAST, end = -1;
    unsigned i;

    for (i = 0; i < notes_used; i++) {
        if (notes[i].at <= before && notes[i].end > end)
            end = notes[i].end;
    }
    return end;
}

static int drop(int64_t seq)
{
    (void)sqlite3_bind_int64(st_drop, 1, seq);
    (void)sqlite3_bind_int64(st_drop_output, 1, seq);
    return spawn_sql_step(st_drop) || spawn_sql_step(st_drop_output) ? -1 : 0;
}

/* The last end that is over the age; -1: none. */
static int64_t aged(int64_t keep_ms)
{
    uint64_t end = 0;

    if (keep_ms == 0)
        return -1;
    (void)sqlite3_bind_int64(st_aged, 1, spawn_wall_ms() - keep_ms);
    return get_number(st_aged, &end) ? -1 : (int64_t)end;
}

typedef struct {
    int64_t seqs[SPAWN_PRUNE_BATCH];
    uint64_t newest; /* time of their ids */
    int count;
} victims;

/* Which ended jobs go now: the first that ended, so many as are over the count,
 * or whose age is. */
static void choose(uint64_t keep_jobs, int64_t keep_ms, victims *ret)
{
    uint64_t over = done_count > keep_jobs ? done_count - keep_jobs : 0;
    int64_t last_aged = aged(keep_ms);

    ret->count = 0;
    ret->newest = 0;
    (void)sqlite3_bind_int64(st_oldest, 1, old_enough());
    (void)sqlite3_bind_int(st_oldest, 2, SPAWN_PRUNE_BATCH);
    while (sqlite3_step(st_oldest) == SQLITE_ROW) {
        const void *id = sqlite3_column_blob(st_oldest, 1);
        spawn_id copy;

        if ((uint64_t)ret->count >= over
            && sqlite3_column_int64(st_oldest, 2) > last_aged)
            break;
        ret->seqs[ret->count++] = sqlite3_column_int64(st_oldest, 0);
        if (!id || sqlite3_column_bytes(st_oldest, 1) != SPAWN_ID_SIZE)
            continue;
        memcpy(copy.bytes, id, SPAWN_ID_SIZE);
        if (spawn_id_time(&copy) > ret->newest)
            ret->newest = spawn_id_time(&copy);
    }
    spawn_sql_reset(st_oldest);
}

int spawn_store_prune(uint64_t keep_jobs, int64_t keep_ms)
{
    victims go;
    int i;

    spawn_store_note();
    choose(keep_jobs, keep_ms, &go);
    if (go.count == 0)
        return 0;
    if (spawn_sql_begin())
        return -1;
    for (i = 0; i < go.count; i++) {
        if (drop(go.seqs[i]))
            goto bad;
    }
    (void)sqlite3_bind_text(st_set, 1, "watermark", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(
        st_set, 2, (int64_t)(go.newest > watermark ? go.newest : watermark));
    if (spawn_sql_step(st_set) || spawn_sql_commit())
        goto bad;
    forget(go.newest);
    done_count -=
        (uint64_t)go.count < done_count ? (uint64_t)go.count : done_count;
    return go.count;
bad:
    spawn_sql_rollback();
    return -1;
}

int spawn_store_forget_some(void)
{
    return spawn_store_prune(
        done_count > SPAWN_PRUNE_BATCH ? done_count - SPAWN_PRUNE_BATCH : 0, 0);
}
