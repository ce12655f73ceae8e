/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's bytes: how many the history may have, how much is kept of an
 * output that its caller has, and what goes first when the disk is full. Runs
 * in the broker.
 *
 * Nothing here may touch a job that waits or runs, and the row of a job that
 * has ended goes last (history.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/timer.h"
#include "broker/store/place.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define KEPT           (SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)
#define TRIM_WITHIN    500 /* ms */
#define TRIM_BYTES     (4u << 20)
#define ROOM_AT_ONCE   (4 << 20)
#define SPEND_ALWAYS   (256u << 10)
#define RESERVE        (256 << 10)
#define RESERVE_IF     (2 * RESERVE) /* are free on the disk */
#define LOG_FRAMES     256           /* of the WAL, until a checkpoint */
#define FRAME_HEAD     24
#define LOG_HEAD       32
#define VACUUM_PAGES   256   /* as in its pragma */
#define COMPLAIN_AGAIN 60000 /* ms */
#define SUM_COUNTS     50    /* times what it took */
#define ROOM_AGAIN     1000  /* ms, while there is none */

#define AT(name) offsetof(spawn_store, room.name)
static const spawn_statement all[] = {
    {AT(pages), "PRAGMA page_count"},
    {AT(free), "PRAGMA freelist_count"},
    {AT(page_size), "PRAGMA page_size"},
    {AT(open_input), "SELECT sum(length(data)) + ifnull(sum(length(args)), 0)"
                     " FROM input JOIN job ON job.seq = input.seq"
                     " WHERE state < 4"},
    {AT(open_body), "SELECT sum(length(body)) FROM job WHERE state < 4"},
    {AT(outputs), "SELECT job.end_seq, job.seq,"
                  " ifnull(length(out), 0) + ifnull(length(err), 0)"
                  " + ifnull(length(result), 0) AS bytes"
                  " FROM job JOIN output ON output.seq = job.seq"
                  " WHERE state = 4 AND end_seq > ?1 AND bytes > 0"
                  " ORDER BY end_seq LIMIT ?2"},
    {AT(drop), "UPDATE output SET"
               " out = CASE WHEN out IS NOT NULL THEN x'' END,"
               " err = CASE WHEN err IS NOT NULL THEN x'' END, result = NULL,"
               " out_cut = ifnull(out_cut, 0) + ifnull(length(out), 0),"
               " err_cut = ifnull(err_cut, 0) + ifnull(length(err), 0),"
               " result_cut = ifnull(result_cut, 0) + ifnull(length(result), 0)"
               " WHERE seq = ?1"},
    {AT(drop_of_attempts),
     "UPDATE attempt SET"
     " out = CASE WHEN out IS NOT NULL THEN x'' END,"
     " err = CASE WHEN err IS NOT NULL THEN x'' END, result = NULL,"
     " out_cut = ifnull(out_cut, 0) + ifnull(length(out), 0),"
     " err_cut = ifnull(err_cut, 0) + ifnull(length(err), 0),"
     " result_cut = ifnull(result_cut, 0) + ifnull(length(result), 0)"
     " WHERE seq = ?1"},
    {AT(whole), "SELECT output.seq, out, err, result, out_cut, err_cut,"
                " result_cut FROM job JOIN output ON output.seq = job.seq"
                " WHERE id = ?1 AND state = 4"},
    {AT(trim), "UPDATE output SET out = ?2, err = ?3, result = ?4,"
               " out_cut = ?5, err_cut = ?6, result_cut = ?7 WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

static int committed(void *of, sqlite3 *db, const char *name, int frames);

int spawn_store_prepare_room(spawn_store *store)
{
    spawn_part_room *r = &store->room;

    r->dropped_to = 0;
    r->log_frames = -1;
    r->outputs_limit = ROOM_AT_ONCE;
    r->crowded = false;
    r->open_until = 0;
    (void)sqlite3_wal_hook(store->db, committed, store);
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_room(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static off_t file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? 0 : st.st_size;
}

static int run(spawn_store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL);
}

/* ---- the log (WAL) ---- */

static int checkpoint(spawn_store *store)
{
    return sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                     NULL, NULL);
}

/* Replaces SQLite's own hook, which does not report failures. A checkpoint that
 * fails for another reason than room is tried again with the next commit:
 * nothing has to go for that. */
static int committed(void *of, sqlite3 *db, const char *name, int frames)
{
    spawn_store *store = of;

    (void)db;
    (void)name;
    store->room.log_frames = frames;
    if (frames >= LOG_FRAMES && checkpoint(store) != SQLITE_OK)
        store->room.crowded = spawn_store_full(store);
    return SQLITE_OK;
}

/* A transaction that found no room has filled the disk with bytes that nobody
 * reads, after the last frame of the last commit: cut them off. */
static void cut_log(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    char path[4200];
    off_t size;

    if (r->log_frames < 0 || !spawn_store_there(store))
        return; /* not known, or the file there may be another pair's */
    size =
        LOG_HEAD
        + (off_t)r->log_frames * (spawn_sql_number(r->page_size) + FRAME_HEAD);
    (void)snprintf(path, sizeof(path), "%s/jobs.db-wal", store->directory);
    if (file_size(path) > size)
        (void)!truncate(path, size);
}

/* ---- what is kept of an output ---- */

size_t spawn_store_cut(const void **data, size_t *length, uint8_t *room)
{
    const uint8_t *whole = *data;
    size_t cut = *length > KEPT ? *length - KEPT : 0;

    if (!cut)
        return 0;
    memcpy(room, whole, SPAWN_KEPT_HEAD);
    memcpy(room + SPAWN_KEPT_HEAD, whole + *length - SPAWN_KEPT_TAIL,
           SPAWN_KEPT_TAIL);
    *data = room;
    *length = KEPT;
    return cut;
}

/* ---- outputs that were delivered ---- */

/* Columns of `whole` to those of `trim`, less the middle. */
static bool trim_column(spawn_store *store, int which, uint8_t *room)
{
    spawn_part_room *r = &store->room;
    const void *data = sqlite3_column_blob(r->whole, 1 + which);
    size_t length = (size_t)sqlite3_column_bytes(r->whole, 1 + which);
    int64_t before = sqlite3_column_int64(r->whole, 4 + which);
    size_t cut;

    if (sqlite3_column_type(r->whole, 1 + which) == SQLITE_NULL) {
        (void)sqlite3_bind_int64(r->trim, 5 + which, before);
        return false;
    }
    cut = spawn_store_cut(&data, &length, room);
    (void)sqlite3_bind_int64(r->trim, 5 + which, before + (int64_t)cut);
    if (length)
        (void)sqlite3_bind_blob64(r->trim, 2 + which, data, length,
                                  SQLITE_TRANSIENT);
    else
        (void)sqlite3_bind_zeroblob(r->trim, 2 + which, 0);
    return cut > 0;
}

/* Half a result is none. */
static bool trim_result(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    int64_t before = sqlite3_column_int64(r->whole, 6);
    const void *data = sqlite3_column_blob(r->whole, 3);
    int length = sqlite3_column_bytes(r->whole, 3);

    if (length > KEPT) {
        (void)sqlite3_bind_int64(r->trim, 7, before + length);
        return true;
    }
    (void)sqlite3_bind_int64(r->trim, 7, before);
    if (sqlite3_column_type(r->whole, 3) != SQLITE_NULL)
        (void)sqlite3_bind_blob(r->trim, 4, data ? data : "", length,
                                SQLITE_TRANSIENT);
    return false;
}

static int trim_one(spawn_store *store, const spawn_id *id)
{
    spawn_part_room *r = &store->room;
    uint8_t room[KEPT];
    bool any = false;
    int rv;

    (void)sqlite3_bind_blob(r->whole, 1, id->bytes, SPAWN_ID_SIZE,
                            SQLITE_STATIC);
    rv = sqlite3_step(r->whole);
    if (rv == SQLITE_ROW) {
        (void)sqlite3_bind_int64(r->trim, 1, sqlite3_column_int64(r->whole, 0));
        any = trim_column(store, 0, room);
        any = trim_column(store, 1, room) || any;
        any = trim_result(store) || any;
    }
    spawn_sql_reset(r->whole);
    if (any)
        return spawn_sql_step(r->trim);
    spawn_sql_reset(r->trim);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}

/* When this fails they stay whole, as other outputs are. */
static void trim(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    unsigned count = r->delivered_count, i;

    spawn_timer_clear(&r->trim_timer);
    r->delivered_count = 0;
    r->delivered_bytes = 0;
    if (count == 0 || spawn_sql_begin(store))
        return;
    for (i = 0; i < count; i++) {
        if (trim_one(store, &r->delivered[i]))
            break;
    }
    if (i < count || spawn_sql_commit(store))
        spawn_sql_rollback(store);
    /* the log has the bytes that were written and are not kept: begin it
     * anew */
    (void)checkpoint(store);
}

static void trim_due(spawn_timer *t)
{
    trim(SPAWN_OWNER(t, spawn_store, room.trim_timer));
}

void spawn_store_delivered(spawn_store *store, const spawn_id *id, size_t bytes)
{
    spawn_part_room *r = &store->room;

    /* more output that is delivered before the next turn stays whole */
    if (bytes <= KEPT || r->delivered_count == SPAWN_STORE_TRIM_MAX)
        return;
    r->delivered[r->delivered_count++] = *id;
    r->delivered_bytes += bytes;
    r->trim_timer.fire = trim_due;
    if (r->delivered_count == SPAWN_STORE_TRIM_MAX
        || r->delivered_bytes > TRIM_BYTES)
        spawn_timer_set(&r->trim_timer,
                        spawn_mono_ms()); /* no transaction here */
    else if (!r->trim_timer.place)
        spawn_timer_set(&r->trim_timer, spawn_mono_ms() + TRIM_WITHIN);
}

/* ---- the limit ---- */

void spawn_store_wrote(spawn_store *store, size_t bytes)
{
    spawn_part_room *r = &store->room;

    r->written += bytes;
    r->spent += bytes;
}

/* A log that is longer than what the database's file could grow by would never
 * be emptied again. */
bool spawn_store_spent_enough(const spawn_store *store)
{
    struct statvfs disk;

    return store->room.spent > SPEND_ALWAYS
           && (statvfs(store->directory, &disk) < 0
               || store->room.spent
                      > (uint64_t)disk.f_bavail * disk.f_frsize / 4);
}

void spawn_store_spend(spawn_store *store)
{
    store->room.spent = 0;
}

/* Else an attempt that fails turn by turn would cause a look each time, and so
 * a turn. */
void spawn_store_spent_nothing(spawn_store *store)
{
    spawn_part_room *r = &store->room;

    r->written -= r->spent < r->written ? r->spent : r->written;
    r->spent = 0;
}

bool spawn_store_wrote_much(const spawn_store *store)
{
    const spawn_part_room *r = &store->room;

    return (r->crowded && spawn_mono_ms() >= r->room_at)
           || (int64_t)r->written > r->outputs_limit / 16;
}

/* Drop outputs of ended jobs, the first that ended first, until so many bytes
 * have gone. Returns how many jobs, or -1. */
static int drop_outputs(spawn_store *store, int64_t bytes, int rows)
{
    spawn_part_room *r = &store->room;
    int64_t seqs[SPAWN_PRUNE_BATCH], end = r->dropped_to;
    int count = 0, i;

    (void)sqlite3_bind_int64(r->outputs, 1, r->dropped_to);
    (void)sqlite3_bind_int(r->outputs, 2, rows);
    while (bytes > 0 && count < rows
           && sqlite3_step(r->outputs) == SQLITE_ROW) {
        end = sqlite3_column_int64(r->outputs, 0);
        seqs[count++] = sqlite3_column_int64(r->outputs, 1);
        bytes -= sqlite3_column_int64(r->outputs, 2);
    }
    spawn_sql_reset(r->outputs);
    if (count == 0)
        return 0;
    if (spawn_sql_begin(store))
        return -1;
    for (i = 0; i < count; i++) {
        (void)sqlite3_bind_int64(r->drop, 1, seqs[i]);
        (void)sqlite3_bind_int64(r->drop_of_attempts, 1, seqs[i]);
        if (spawn_sql_step(r->drop) || spawn_sql_step(r->drop_of_attempts))
            goto bad;
    }
    if (spawn_sql_commit(store))
        goto bad;
    r->dropped_to = end;
    return count;
bad:
    spawn_sql_rollback(store);
    return -1;
}

static char *reserve_path(const spawn_store *store, char *path, size_t room)
{
    (void)snprintf(path, room, "%s/reserve", store->directory);
    return path;
}

/* A file that is removed when the disk is full: without any room nothing can be
 * deleted from a database. */
static void keep_reserve(spawn_store *store)
{
    char path[4200];
    struct statvfs disk;
    int fd;

    if (access(reserve_path(store, path, sizeof(path)), F_OK) == 0
        || statvfs(store->directory, &disk) < 0
        || (uint64_t)disk.f_bavail * disk.f_frsize < RESERVE_IF)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (posix_fallocate(fd, 0, RESERVE) != 0)
        (void)unlink(path);
    (void)close(fd);
}

bool spawn_store_release_reserve(const spawn_store *store)
{
    char path[4200];

    return unlink(reserve_path(store, path, sizeof(path))) == 0;
}

/* Give all free pages but some back, a few at a time. The file shrinks at a
 * checkpoint. */
static bool vacuum(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    int64_t free_pages = spawn_sql_number(r->free);

    if (free_pages <= VACUUM_PAGES
        || free_pages <= spawn_sql_number(r->pages) / 4)
        return false;
    (void)run(store, "PRAGMA incremental_vacuum(256)");
    if (spawn_sql_number(r->free) >= free_pages)
        return false;        /* an old file, which reuses them only */
    (void)checkpoint(store); /* the file shrinks by it */
    return true;
}

static int64_t used(spawn_store *store)
{
    spawn_part_room *r = &store->room;

    return (spawn_sql_number(r->pages) - spawn_sql_number(r->free))
           * spawn_sql_number(r->page_size);
}

void spawn_store_opened(spawn_store *store, size_t bytes)
{
    store->room.opened += bytes;
}

/* Where many jobs wait it takes long to sum them up: then it is done the less
 * often. Those that have come since count; those that have ended do, too, so
 * that no history goes too early. */
static int64_t of_open_jobs(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    int64_t now = spawn_mono_us();

    if (now >= r->open_until) {
        r->open_bytes =
            spawn_sql_number(r->open_input) + spawn_sql_number(r->open_body);
        r->opened = 0;
        r->open_until = spawn_mono_us() + SUM_COUNTS * (spawn_mono_us() - now);
    }
    return r->open_bytes + (int64_t)r->opened;
}

static int64_t over(spawn_store *store, int64_t limit)
{
    int64_t bytes = used(store);

    return bytes <= limit ? 0 : bytes - limit - of_open_jobs(store);
}

/* Outputs may have half of the room on the disk: the other half is for the log,
 * and for its checkpoint. */
static int64_t limit_of_outputs(spawn_store *store, uint64_t limit)
{
    struct statvfs disk;
    uint64_t half;

    if (statvfs(store->directory, &disk) < 0)
        return (int64_t)limit;
    half =
        ((uint64_t)used(store) + (uint64_t)disk.f_bavail * disk.f_frsize) / 2;
    return (int64_t)(half < limit ? half : limit);
}

int spawn_store_shrink(spawn_store *store, uint64_t limit)
{
    spawn_part_room *r = &store->room;
    int64_t bytes;
    int count;

    r->written = 0;
    if (r->crowded) {
        r->crowded = false;
        (void)spawn_store_make_room(store);
        /* the rows that this writes would cause the next try at once */
        r->room_at = r->crowded ? spawn_mono_ms() + ROOM_AGAIN : 0;
    }
    r->outputs_limit = limit_of_outputs(store, limit);
    bytes = over(store, r->outputs_limit);
    count = bytes > 0 ? drop_outputs(store, bytes, SPAWN_PRUNE_BATCH) : 0;
    if (count == 0 && over(store, (int64_t)limit) > 0)
        count = spawn_store_forget_some(store);
    if (count < 0 && spawn_store_full(store))
        count = spawn_store_make_room(store) ? 1 : -1;
    if (count != 0)
        return count;
    keep_reserve(store);
    return vacuum(store);
}

/* ---- a full disk ---- */

/* Has the last call failed for want of room? When SQLite cannot make a file, it
 * tries again to read it, and reports that error. */
static bool no_room(const spawn_store *store)
{
    struct statvfs disk;

    return statvfs(store->directory, &disk) == 0
           && (disk.f_bavail == 0 || (disk.f_files > 0 && disk.f_favail == 0));
}

bool spawn_store_full(const spawn_store *store)
{
    sqlite3 *db = store->db;
    int code = sqlite3_extended_errcode(db) & 0xff;
    int error = sqlite3_system_errno(db);

    return spawn_sql_outgrown(store) || code == SQLITE_FULL
           || ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN)
               && (error == ENOSPC || error == EDQUOT || no_room(store)));
}

static void tell(spawn_store *store)
{
    int64_t now = spawn_mono_ms();

    if (store->room.told_at && now - store->room.told_at < COMPLAIN_AGAIN)
        return;
    store->room.told_at = now;
    spawn_log(SPAWN_LOG_WARN,
              MSNO(0662) "the disk of the store %s is full: outputs of ended "
                         "jobs are dropped, the oldest first",
              store->directory);
}

/* Drop some outputs: with the room that the log has, or with the reserve's, or
 * else fewer. */
static int drop_what_fits(spawn_store *store)
{
    int rows = SPAWN_PRUNE_BATCH, count;

    while ((count = drop_outputs(store, ROOM_AT_ONCE, rows)) < 0 && rows > 1) {
        cut_log(store);
        if (!spawn_store_release_reserve(store))
            rows /= 10;
    }
    return count;
}

/* Everything that is written goes through the log: free pages in the file are
 * of no use when the log has no room. */
static bool log_is_short(spawn_store *store)
{
    spawn_part_room *r = &store->room;
    char path[4200];
    struct statvfs disk;
    int64_t room;

    (void)snprintf(path, sizeof(path), "%s/jobs.db-wal", store->directory);
    if (statvfs(store->directory, &disk) < 0)
        return false;
    room = (int64_t)((uint64_t)disk.f_bavail * disk.f_frsize) + file_size(path);
    return room < ROOM_AT_ONCE
           && room < spawn_sql_number(r->free) * spawn_sql_number(r->page_size);
}

/* A few pages at a time, since the pages that take their places go through the
 * log, too. */
static void share_with_log(spawn_store *store)
{
    sqlite3_stmt *s = store->room.free;
    int64_t free_pages;
    int step = 16, rv;
    char sql[50];

    while (step > 0 && log_is_short(store)) {
        free_pages = spawn_sql_number(s);
        (void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", step);
        rv = run(store, sql);
        if (checkpoint(store) == SQLITE_OK && spawn_sql_number(s) < free_pages)
            continue;
        if (rv == SQLITE_OK)
            return; /* an old file, which reuses them only */
        cut_log(store);
        if (!spawn_store_release_reserve(store))
            step /= 4;
    }
}

bool spawn_store_make_room(spawn_store *store)
{
    int count;

    if (checkpoint(store) != SQLITE_OK) {
        cut_log(store);
        (void)checkpoint(store);
    }
    count = drop_what_fits(store);
    if (count == 0)
        count = spawn_store_forget_some(store);
    if (count > 0)
        tell(store);
    cut_log(store);
    if (checkpoint(store) != SQLITE_OK) {
        /* The log is an older release's, or the file system writes nothing in
         * place. The file would have to grow for pages at its end. When no
         * output is left, the end of the file is free and can be cut off. */
        while (drop_outputs(store, INT64_MAX, SPAWN_PRUNE_BATCH) > 0)
            count = 1;
        (void)run(store, "PRAGMA incremental_vacuum(16384)");
        cut_log(store);
        (void)checkpoint(store);
    }
    share_with_log(store);
    keep_reserve(store);
    return count > 0;
}
