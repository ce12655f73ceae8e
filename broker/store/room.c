/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's bytes: how many the history may have, what is kept of an output
 * that its caller has, what goes first when the disk is full. Runs in the
 * broker.
 *
 * Nothing here touches a job that waits or runs, and the line of a job that has
 * ended goes last (history.c).
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
#include "broker/base/conf.h"
#include "broker/base/timer.h"
#include "broker/store/place.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define KEPT           (SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)
#define TRIM_WITHIN    500 /* ms */
#define TRIM_MAX       256 /* jobs */
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
#define ROOM_AGAIN     1000  /* ms, while there is none */

static sqlite3_stmt *st_pages, *st_free, *st_page_size, *st_open_input,
    *st_open_body, *st_outputs, *st_drop, *st_whole, *st_trim;

static const spawn_statement all[] = {
    {&st_pages, "PRAGMA page_count"},
    {&st_free, "PRAGMA freelist_count"},
    {&st_page_size, "PRAGMA page_size"},
    {&st_open_input, "SELECT sum(length(data)) + ifnull(sum(length(args)), 0)"
                     " FROM input"},
    {&st_open_body, "SELECT sum(length(body)) FROM job WHERE state < 4"},
    {&st_outputs, "SELECT job.end_seq, job.seq,"
                  " ifnull(length(out), 0) + ifnull(length(err), 0)"
                  " + ifnull(length(result), 0) AS bytes"
                  " FROM job JOIN output ON output.seq = job.seq"
                  " WHERE state = 4 AND end_seq > ?1 AND bytes > 0"
                  " ORDER BY end_seq LIMIT ?2"},
    {&st_drop, "UPDATE output SET"
               " out = CASE WHEN out IS NOT NULL THEN x'' END,"
               " err = CASE WHEN err IS NOT NULL THEN x'' END, result = NULL,"
               " out_cut = ifnull(out_cut, 0) + ifnull(length(out), 0),"
               " err_cut = ifnull(err_cut, 0) + ifnull(length(err), 0),"
               " result_cut = ifnull(result_cut, 0) + ifnull(length(result), 0)"
               " WHERE seq = ?1"},
    {&st_whole, "SELECT output.seq, out, err, result, out_cut, err_cut,"
                " result_cut FROM job JOIN output ON output.seq = job.seq"
                " WHERE id = ?1 AND state = 4"},
    {&st_trim, "UPDATE output SET out = ?2, err = ?3, result = ?4,"
               " out_cut = ?5, err_cut = ?6, result_cut = ?7 WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

static int64_t dropped_to; /* in the order of ends: no output is before it */
static uint64_t written;   /* bytes of outputs since the last look */
static uint64_t spent;     /* and in this transaction */
static int64_t log_frames; /* in the WAL at the last commit; -1: not known */
static int64_t outputs_limit = ROOM_AT_ONCE; /* at the last look */
static bool crowded;                         /* a checkpoint had no room */
static int64_t room_at; /* when to look for some again, mono ms */

static int committed(void *unused, sqlite3 *db, const char *name, int frames);

int spawn_store_prepare_room(void)
{
    dropped_to = 0;
    log_frames = -1;
    crowded = false;
    (void)sqlite3_wal_hook(spawn_db, committed, NULL);
    return spawn_sql_prepare(all, STATEMENTS);
}

void spawn_store_finish_room(void)
{
    spawn_sql_finish(all, STATEMENTS);
}

static off_t file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? 0 : st.st_size;
}

static int run(const char *sql)
{
    return sqlite3_exec(spawn_db, sql, NULL, NULL, NULL);
}

/* ---- the log (WAL) ---- */

static int checkpoint(void)
{
    return sqlite3_wal_checkpoint_v2(spawn_db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                     NULL, NULL);
}

/* In the place of SQLite's own, which keeps the failures for itself. */
static int committed(void *unused, sqlite3 *db, const char *name, int frames)
{
    (void)unused;
    (void)db;
    (void)name;
    log_frames = frames;
    if (frames >= LOG_FRAMES && checkpoint() != SQLITE_OK)
        crowded = true;
    return SQLITE_OK;
}

/* A transaction that found no room has filled the disk with what nobody reads:
 * behind the last frame of the last commit. */
static void cut_log(void)
{
    char path[4200];
    off_t size;

    if (log_frames < 0 || !spawn_store_there())
        return; /* not known, or another's file may lie there */
    size = LOG_HEAD
           + (off_t)log_frames * (spawn_sql_number(st_page_size) + FRAME_HEAD);
    (void)snprintf(path, sizeof(path), "%s/jobs.db-wal", spawn_conf.store_path);
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

static spawn_id delivered[TRIM_MAX];
static unsigned delivered_count;
static size_t delivered_bytes;
static spawn_timer trim_timer;

/* Columns of st_whole to those of st_trim, less the middle. */
static bool trim_column(int which, uint8_t *room)
{
    const void *data = sqlite3_column_blob(st_whole, 1 + which);
    size_t length = (size_t)sqlite3_column_bytes(st_whole, 1 + which);
    int64_t before = sqlite3_column_int64(st_whole, 4 + which);
    size_t cut;

    if (sqlite3_column_type(st_whole, 1 + which) == SQLITE_NULL) {
        (void)sqlite3_bind_int64(st_trim, 5 + which, before);
        return false;
    }
    cut = spawn_store_cut(&data, &length, room);
    (void)sqlite3_bind_int64(st_trim, 5 + which, before + (int64_t)cut);
    if (length)
        (void)sqlite3_bind_blob64(st_trim, 2 + which, data, length,
                                  SQLITE_TRANSIENT);
    else
        (void)sqlite3_bind_zeroblob(st_trim, 2 + which, 0);
    return cut > 0;
}

/* Half a result is none. */
static bool trim_result(void)
{
    int64_t before = sqlite3_column_int64(st_whole, 6);
    const void *data = sqlite3_column_blob(st_whole, 3);
    int length = sqlite3_column_bytes(st_whole, 3);

    if (length > KEPT) {
        (void)sqlite3_bind_int64(st_trim, 7, before + length);
        return true;
    }
    (void)sqlite3_bind_int64(st_trim, 7, before);
    if (sqlite3_column_type(st_whole, 3) != SQLITE_NULL)
        (void)sqlite3_bind_blob(st_trim, 4, data ? data : "", length,
                                SQLITE_TRANSIENT);
    return false;
}

static int trim_one(const spawn_id *id)
{
    uint8_t room[KEPT];
    bool any = false;
    int rv;

    (void)sqlite3_bind_blob(st_whole, 1, id->bytes, SPAWN_ID_SIZE,
                            SQLITE_STATIC);
    rv = sqlite3_step(st_whole);
    if (rv == SQLITE_ROW) {
        (void)sqlite3_bind_int64(st_trim, 1, sqlite3_column_int64(st_whole, 0));
        any = trim_column(0, room);
        any = trim_column(1, room) || any;
        any = trim_result() || any;
    }
    spawn_sql_reset(st_whole);
    if (any)
        return spawn_sql_step(st_trim);
    spawn_sql_reset(st_trim);
    return rv == SQLITE_ROW || rv == SQLITE_DONE ? 0 : -1;
}

/* When it fails they stay whole: they are outputs as others then. */
static void trim(void)
{
    unsigned count = delivered_count, i;

    spawn_timer_clear(&trim_timer);
    delivered_count = 0;
    delivered_bytes = 0;
    if (count == 0 || spawn_sql_begin())
        return;
    for (i = 0; i < count; i++) {
        if (trim_one(&delivered[i]))
            break;
    }
    if (i < count || spawn_sql_commit())
        spawn_sql_rollback();
    /* what was written and is not kept is in the log: it begins anew */
    (void)checkpoint();
}

static void trim_due(spawn_timer *t)
{
    (void)t;
    trim();
}

void spawn_store_delivered(const spawn_id *id, size_t bytes)
{
    if (bytes <= KEPT)
        return;
    delivered[delivered_count++] = *id;
    delivered_bytes += bytes;
    trim_timer.fire = trim_due;
    if (delivered_count == TRIM_MAX || delivered_bytes > TRIM_BYTES)
        spawn_timer_set(&trim_timer, spawn_mono_ms()); /* no transaction here */
    else if (!trim_timer.place)
        spawn_timer_set(&trim_timer, spawn_mono_ms() + TRIM_WITHIN);
}

/* ---- the limit ---- */

void spawn_store_wrote(size_t bytes)
{
    written += bytes;
    spent += bytes;
}

/* A log that is longer than what the database's file could grow by would never
 * be emptied again. */
bool spawn_store_spent_enough(void)
{
    struct statvfs disk;

    return spent > SPEND_ALWAYS
           && (statvfs(spawn_conf.store_path, &disk) < 0
               || spent > (uint64_t)disk.f_bavail * disk.f_frsize / 4);
}

void spawn_store_spend(void)
{
    spent = 0;
}

/* Else what is tried in vain, turn by turn, would be a reason for a look, and
 * so for a turn. */
void spawn_store_spent_nothing(void)
{
    written -= spent < written ? spent : written;
    spent = 0;
}

bool spawn_store_wrote_much(void)
{
    return (crowded && spawn_mono_ms() >= room_at)
           || (int64_t)written > outputs_limit / 16;
}

/* Outputs of ended jobs, the first that ended first, until so many bytes have
 * gone. How many jobs, or -1. */
static int drop_outputs(int64_t bytes, int rows)
{
    int64_t seqs[SPAWN_PRUNE_BATCH], end = dropped_to;
    int count = 0, i;

    (void)sqlite3_bind_int64(st_outputs, 1, dropped_to);
    (void)sqlite3_bind_int(st_outputs, 2, rows);
    while (bytes > 0 && count < rows
           && sqlite3_step(st_outputs) == SQLITE_ROW) {
        end = sqlite3_column_int64(st_outputs, 0);
        seqs[count++] = sqlite3_column_int64(st_outputs, 1);
        bytes -= sqlite3_column_int64(st_outputs, 2);
    }
    spawn_sql_reset(st_outputs);
    if (count == 0)
        return 0;
    if (spawn_sql_begin())
        return -1;
    for (i = 0; i < count; i++) {
        (void)sqlite3_bind_int64(st_drop, 1, seqs[i]);
        if (spawn_sql_step(st_drop))
            goto bad;
    }
    if (spawn_sql_commit())
        goto bad;
    dropped_to = end;
    return count;
bad:
    spawn_sql_rollback();
    return -1;
}

static char *reserve_path(char *path, size_t room)
{
    (void)snprintf(path, room, "%s/reserve", spawn_conf.store_path);
    return path;
}

/* A file that is given up when the disk is full: without any room not even
 * something can be removed from a database. */
static void keep_reserve(void)
{
    char path[4200];
    struct statvfs disk;
    int fd;

    if (access(reserve_path(path, sizeof(path)), F_OK) == 0
        || statvfs(spawn_conf.store_path, &disk) < 0
        || (uint64_t)disk.f_bavail * disk.f_frsize < RESERVE_IF)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (posix_fallocate(fd, 0, RESERVE) != 0)
        (void)unlink(path);
    (void)close(fd);
}

bool spawn_store_release_reserve(void)
{
    char path[4200];

    return unlink(reserve_path(path, sizeof(path))) == 0;
}

/* Give free pages back, but some, a few at a time. A file shrinks when the last
 * of them is checkpointed. */
static bool vacuum(void)
{
    int64_t free_pages = spawn_sql_number(st_free);

    if (free_pages <= VACUUM_PAGES
        || free_pages <= spawn_sql_number(st_pages) / 4)
        return false;
    (void)run("PRAGMA incremental_vacuum(256)");
    if (spawn_sql_number(st_free) >= free_pages)
        return false;   /* an old file, which reuses them only */
    (void)checkpoint(); /* the file shrinks by it */
    return true;
}

static int64_t used(void)
{
    return (spawn_sql_number(st_pages) - spawn_sql_number(st_free))
           * spawn_sql_number(st_page_size);
}

static int64_t over(int64_t limit)
{
    int64_t bytes = used();

    if (bytes <= limit)
        return 0;
    return bytes - limit - spawn_sql_number(st_open_input)
           - spawn_sql_number(st_open_body);
}

/* Outputs may have half of what the disk has for us: the other half is for the
 * log, and for a checkpoint of it. */
static int64_t limit_of_outputs(uint64_t limit)
{
    struct statvfs disk;
    uint64_t half;

    if (statvfs(spawn_conf.store_path, &disk) < 0)
        return (int64_t)limit;
    half = ((uint64_t)used() + (uint64_t)disk.f_bavail * disk.f_frsize) / 2;
    return (int64_t)(half < limit ? half : limit);
}

int spawn_store_shrink(uint64_t limit)
{
    int64_t bytes;
    int count;

    written = 0;
    if (crowded) {
        crowded = false;
        (void)spawn_store_make_room();
        /* what is written for it would be a reason to try again at once */
        room_at = crowded ? spawn_mono_ms() + ROOM_AGAIN : 0;
    }
    outputs_limit = limit_of_outputs(limit);
    bytes = over(outputs_limit);
    count = bytes > 0 ? drop_outputs(bytes, SPAWN_PRUNE_BATCH) : 0;
    if (count == 0 && over((int64_t)limit) > 0)
        count = spawn_store_forget_some();
    if (count < 0 && spawn_store_full())
        count = spawn_store_make_room() ? 1 : -1;
    if (count != 0)
        return count;
    keep_reserve();
    return vacuum();
}

/* ---- a full disk ---- */

/* SQLite tries a file that cannot be made once more, for reading, and tells of
 * that. */
static bool no_room(void)
{
    struct statvfs disk;

    return statvfs(spawn_conf.store_path, &disk) == 0
           && (disk.f_bavail == 0 || (disk.f_files > 0 && disk.f_favail == 0));
}

bool spawn_store_full(void)
{
    sqlite3 *db = spawn_db;
    int code = sqlite3_extended_errcode(db) & 0xff;
    int error = sqlite3_system_errno(db);

    return spawn_sql_outgrown() || code == SQLITE_FULL
           || ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN)
               && (error == ENOSPC || error == EDQUOT || no_room()));
}

static void tell(void)
{
    static int64_t told = -COMPLAIN_AGAIN;
    int64_t now = spawn_mono_ms();

    if (now - told < COMPLAIN_AGAIN)
        return;
    told = now;
    spawn_log(SPAWN_LOG_WARN,
              MSNO(0662) "the disk of the store %s is full: outputs of ended "
                         "jobs are dropped, the oldest first",
              spawn_conf.store_path);
}

/* The log has room for some, or gets the reserve's, or has it for fewer. */
static int drop_what_fits(void)
{
    int rows = SPAWN_PRUNE_BATCH, count;

    while ((count = drop_outputs(ROOM_AT_ONCE, rows)) < 0 && rows > 1) {
        cut_log();
        if (!spawn_store_release_reserve())
            rows /= 10;
    }
    return count;
}

/* All that is written goes through the log: what is free in the file is of no
 * use for what the log has no room for. */
static bool log_is_short(void)
{
    char path[4200];
    struct statvfs disk;
    int64_t room;

    (void)snprintf(path, sizeof(path), "%s/jobs.db-wal", spawn_conf.store_path);
    if (statvfs(spawn_conf.store_path, &disk) < 0)
        return false;
    room = (int64_t)((uint64_t)disk.f_bavail * disk.f_frsize) + file_size(path);
    return room < ROOM_AT_ONCE
           && room < spawn_sql_number(st_free) * spawn_sql_number(st_page_size);
}

/* A few pages at a time: those that take their places go through the log, too.
 */
static void share_with_log(void)
{
    int64_t free_pages;
    int step = 16, rv;
    char sql[50];

    while (step > 0 && log_is_short()) {
        free_pages = spawn_sql_number(st_free);
        (void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", step);
        rv = run(sql);
        if (checkpoint() == SQLITE_OK && spawn_sql_number(st_free) < free_pages)
            continue;
        if (rv == SQLITE_OK)
            return; /* an old file, which reuses them only */
        cut_log();
        if (!spawn_store_release_reserve())
            step /= 4;
    }
}

bool spawn_store_make_room(void)
{
    int count;

    if (checkpoint() != SQLITE_OK) {
        cut_log();
        (void)checkpoint();
    }
    count = drop_what_fits();
    if (count == 0)
        count = spawn_store_forget_some();
    if (count > 0)
        tell();
    cut_log();
    if (checkpoint() != SQLITE_OK) {
        /* The log is an older release's, or the file system writes nothing in
         * place. The file would have to grow for what is at its end: when no
         * output is left, the end is free, and goes. */
        while (drop_outputs(INT64_MAX, SPAWN_PRUNE_BATCH) > 0)
            count = 1;
        (void)run("PRAGMA incremental_vacuum(16384)");
        cut_log();
        (void)checkpoint();
    }
    share_with_log();
    keep_reserve();
    return count > 0;
}
