/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of durable jobs. Runs in the scribe, which may wait for the disk
 * here as long as that takes. Must not say that something is on the disk when
 * it is not: after an error of the disk nothing in the file is believed that
 * was not committed before it (docs/durable.md, "A sync that fails").
 */
#include "broker/store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/spawn_os.h"

#define TRIM_AT_ONCE 100

#define ENDED_COLUMNS                                                          \
    "job_pid, started_at, ended_at, elapsed, outcome, exit_code, signal,"      \
    " core, step, errno, text, rusage, result_kind, alone"

#define NOT_ENDED                                                              \
    "(" ENDED_COLUMNS ") = (SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL,"  \
    " NULL, NULL, NULL, NULL, NULL, NULL, NULL)"

enum {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT,
    REVIVE,
    STATE,
    END,
    DROP,
    TRIM,
    TRIM_SOME,
    META,
    SIZE,
    HAS
};

static const char *const all[SPAWN_LEDGER_STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    /* one that is there may be sent again, by a broker whose scribe has died */
    [PUT] = "INSERT INTO job(id, state, attempt, submitted_at, uid, pid,"
            " message) VALUES(?1, 1, 1, ?2, ?3, ?4, ?5)"
            " ON CONFLICT(id) DO NOTHING",
    [REVIVE] = "INSERT INTO job(id, state, attempt, submitted_at, uid, pid,"
               " message, chosen) VALUES(?1, 1, ?6, ?2, ?3, ?4, ?5, 1)"
               " ON CONFLICT(id) DO UPDATE SET state = 1, attempt = ?6,"
               " due_at = NULL, chosen = 1, " NOT_ENDED,
    [STATE] = "UPDATE job SET state = ?2, attempt = ?3, due_at = ?4,"
              " chosen = CASE WHEN ?2 = 2 THEN 1 ELSE chosen END, " NOT_ENDED
              " WHERE id = ?1",
    [END] = "UPDATE job SET state = 4, job_pid = ?2, started_at = ?3,"
            " ended_at = ?4, elapsed = ?5, outcome = ?6, exit_code = ?7,"
            " signal = ?8, core = ?9, step = ?10, errno = ?11, text = ?12,"
            " rusage = ?13, result_kind = ?14, alone = ?15, attempt = ?16"
            " WHERE id = ?1",
    [DROP] = "DELETE FROM job WHERE id = ?1 AND state = ?2",
    [TRIM] = "DELETE FROM job WHERE state = 4 AND ended_at < ?1"
             " AND alone IS NULL",
    [TRIM_SOME] = ("DELETE FROM job WHERE seq IN (SELECT seq FROM job"
                   " WHERE state = 4 AND ended_at < ?2 AND alone IS NULL"
                   " ORDER BY ended_at LIMIT ?1)"),
    [META] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",
    [SIZE] = "SELECT (page_count - freelist_count) * page_size FROM"
             " pragma_page_count, pragma_freelist_count, pragma_page_size",
    [HAS] = "SELECT state, message FROM job WHERE id = ?1",
};

void spawn_ledger_init(spawn_ledger *l, const char *directory)
{
    memset(l, 0, sizeof(*l));
    l->lock = -1;
    (void)snprintf(l->directory, sizeof(l->directory), "%s", directory);
}

/* ---- open and close ---- */

static void finish(spawn_ledger *l)
{
    unsigned i;

    for (i = 0; i < SPAWN_LEDGER_STATEMENTS; i++) {
        (void)sqlite3_finalize(l->statements[i]);
        l->statements[i] = NULL;
    }
}

/* It may hold an unfinished transaction: its log stays as it is. */
static void leave(spawn_ledger *l)
{
    if (!l->db)
        return;
    finish(l);
    (void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close(l->db);
    l->db = NULL;
}

void spawn_ledger_close(spawn_ledger *l)
{
    if (!l->db)
        return;
    if (l->spoiled) {
        leave(l);
        return;
    }
    finish(l);
    (void)sqlite3_close(l->db); /* checkpoints, syncs, removes the log */
    l->db = NULL;
}

static int run(spawn_ledger *l, const char *sql)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static int64_t number_of(spawn_ledger *l, const char *sql)
{
    sqlite3_stmt *s;
    int64_t n = -1;

    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(s) == SQLITE_ROW)
        n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return n;
}

static int check_identity(spawn_ledger *l)
{
    int64_t application = number_of(l, "PRAGMA application_id");
    int64_t layout = number_of(l, "PRAGMA user_version");

    if (application < 0 || layout < 0)
        return spawn_ledger_fail(l, l->db, "it cannot be read");
    if (application != SPAWN_LEDGER_APPLICATION || layout < 1) {
        (void)snprintf(l->why, sizeof(l->why),
                       "durable-%u.db is the database of another program",
                       l->number);
        return -1;
    }
    if (layout > SPAWN_LEDGER_LAYOUT) {
        (void)snprintf(l->why, sizeof(l->why),
                       "durable-%u.db was written by a newer mod_spawn (layout "
                       "%lld, this one knows %d)",
                       l->number, (long long)layout, SPAWN_LEDGER_LAYOUT);
        return -1;
    }
    return 0;
}

/* A file of an older release. Its rows of jobs stay as they are. */
static int add_columns(spawn_ledger *l)
{
    char sql[80];
    unsigned i;

    for (i = 0; i < SPAWN_LEDGER_LATER; i++) {
        const char *name = spawn_ledger_later[i];

        (void)snprintf(sql, sizeof(sql),
                       "ALTER TABLE job ADD COLUMN %s INTEGER", name);
        if (!spawn_ledger_has_column(l->db, name) && run(l, sql))
            return -1;
    }
    return 0;
}

static int open_file(spawn_ledger *l)
{
    char path[PATH_MAX];
    unsigned i;

    spawn_ledger_path(l, path, "durable-%u.db", l->number);
    if (sqlite3_open_v2(path, &l->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return spawn_ledger_fail(l, l->db, "it cannot be opened");
    if (run(l, "PRAGMA locking_mode=EXCLUSIVE")
        || run(l, "PRAGMA temp_store=MEMORY")
        || run(l, "PRAGMA cache_size=-512") || run(l, "PRAGMA mmap_size=0")
        || run(l, "PRAGMA journal_mode=WAL")
        || run(l, "PRAGMA synchronous=FULL")
        || run(l, "PRAGMA journal_size_limit=1048576"))
        return spawn_ledger_fail(l, l->db, "it cannot be opened");
    (void)run(l, "PRAGMA secure_delete=FAST");
    spawn_ledger_note_place(l);
    if (check_identity(l))
        return -1;
    if (add_columns(l))
        return spawn_ledger_fail(l, l->db, "it cannot be written");
    for (i = 0; i < SPAWN_LEDGER_STATEMENTS; i++) {
        if (sqlite3_prepare_v3(l->db, all[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &l->statements[i], NULL)
            != SQLITE_OK)
            return spawn_ledger_fail(l, l->db, "it is not as expected");
    }
    return 0;
}

/* The one before us may still wait for the disk; so do we then. */
static int take_lock(spawn_ledger *l)
{
    char path[PATH_MAX];

    if (l->lock >= 0)
        return 0;
    spawn_ledger_path(l, path, "durable.lock", 0);
    l->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock < 0)
        return spawn_ledger_fail_errno(l, "durable.lock cannot be opened");
    while (flock(l->lock, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        (void)close(l->lock);
        l->lock = -1;
        return spawn_ledger_fail_errno(l, "durable.lock cannot be locked");
    }
    return 0;
}

/* The process that had it closed it, so that all of it is in the file and
 * synced. */
static bool was_closed(const spawn_ledger *l)
{
    char path[PATH_MAX];
    struct stat st;

    spawn_ledger_path(l, path, "durable-%u.db-wal", l->number);
    return stat(path, &st) < 0 || st.st_size == 0;
}

static bool is_damage(sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;

    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

/* 1: it has to be copied first. */
static int try_file(spawn_ledger *l)
{
    int rv = open_file(l);

    if (rv == 0 && spawn_ledger_whole(l, l->db))
        return 0;
    rv = rv == 0 || is_damage(l->db) ? 1 : -1;
    leave(l);
    return rv;
}

int spawn_ledger_open(spawn_ledger *l)
{
    bool anew;
    int rv = 1;

    if (l->db)
        return l->spoiled ? spawn_ledger_renew(l) : 0;
    if (take_lock(l))
        return -1;
    l->number = spawn_ledger_find(l);
    anew = l->number == 0;
    if (anew && spawn_ledger_begin_anew(l))
        return -1;
    spawn_ledger_unmark(l);
    if (anew || was_closed(l))
        rv = try_file(l);
    if (rv <= 0)
        return rv;
    if (spawn_ledger_copy(l, NULL))
        return -1;
    rv = open_file(l);
    if (rv)
        leave(l);
    return rv;
}

/* The connection that wrote last knows what it had committed; the file may have
 * more, which is not on the disk. So it stays until there is a copy. */
int spawn_ledger_renew(spawn_ledger *l)
{
    int rv;

    l->spoiled = true;
    if (spawn_ledger_copy(l, l->db))
        return -1;
    leave(l);
    l->spoiled = false;
    rv = open_file(l);
    if (rv)
        leave(l);
    return rv;
}

/* ---- writing ---- */

static int step(spawn_ledger *l, int which)
{
    sqlite3_stmt *s = l->statements[which];
    int rv = sqlite3_step(s), good;

    good = rv == SQLITE_DONE || rv == SQLITE_ROW;
    if (!good)
        (void)spawn_ledger_fail(l, l->db, "it cannot be written");
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return good ? 0 : -1;
}

int spawn_ledger_begin(spawn_ledger *l)
{
    return step(l, BEGIN);
}

/* The next one does not find a removed row, whatever was synced. */
int spawn_ledger_commit(spawn_ledger *l)
{
    if (step(l, COMMIT))
        return -1;
    if (spawn_ledger_in_place(l))
        return 0;
    l->full = false;
    (void)snprintf(l->why, sizeof(l->why), "durable-%u.db was removed",
                   l->number);
    return -1;
}

void spawn_ledger_rollback(spawn_ledger *l)
{
    char why[sizeof(l->why)];
    bool full = l->full;

    (void)strcpy(why, l->why);
    if (l->db && !sqlite3_get_autocommit(l->db))
        (void)step(l, ROLLBACK);
    (void)strcpy(l->why, why);
    l->full = full;
}

/* The header of a message says how it was sent. */
static bool is_message(sqlite3_stmt *s, int column, const void *message,
                       size_t length)
{
    const uint8_t *has = sqlite3_column_blob(s, column);

    return has && (size_t)sqlite3_column_bytes(s, column) == length
           && length >= SPAWN_WIRE_HEADER
           && memcmp(has + SPAWN_WIRE_HEADER,
                     (const uint8_t *)message + SPAWN_WIRE_HEADER,
                     length - SPAWN_WIRE_HEADER)
                  == 0;
}

/* The store knows nothing of it: it was damaged, or the job was refused, since
 * the disk failed just then. */
static int what_is_there(spawn_ledger *l, const spawn_ledger_record *r,
                         const void *message)
{
    sqlite3_stmt *s = l->statements[HAS];
    int rv;

    (void)sqlite3_bind_blob(s, 1, r->id.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    rv = sqlite3_step(s);
    if (rv != SQLITE_ROW)
        rv = spawn_ledger_fail(l, l->db, "it cannot be read");
    else if (!is_message(s, 1, message, r->length))
        rv = SPAWN_LEDGER_KNOWS_OTHER;
    else if (sqlite3_column_int(s, 0) != SPAWN_LEDGER_IS_WAITING)
        rv = SPAWN_LEDGER_KNOWS_STARTED;
    else
        rv = 0;
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return rv;
}

static int put(spawn_ledger *l, int which, const spawn_ledger_record *r,
               const void *message)
{
    sqlite3_stmt *s = l->statements[which];

    (void)sqlite3_bind_int64(s, 2, r->submitted_at);
    (void)sqlite3_bind_int64(s, 3, r->uid);
    (void)sqlite3_bind_int64(s, 4, r->pid);
    (void)sqlite3_bind_blob64(s, 5, message, r->length, SQLITE_STATIC);
    if (which == REVIVE)
        (void)sqlite3_bind_int(s, 6, r->attempt);
    if (step(l, which))
        return -1;
    return sqlite3_changes(l->db) > 0 ? 0 : what_is_there(l, r, message);
}

static int set_state(spawn_ledger *l, const spawn_ledger_record *r,
                     spawn_ledger_state state)
{
    sqlite3_stmt *s = l->statements[STATE];

    (void)sqlite3_bind_int(s, 2, (int)state);
    (void)sqlite3_bind_int(s, 3, r->attempt);
    if (r->due_at)
        (void)sqlite3_bind_int64(s, 4, r->due_at);
    return step(l, STATE);
}

static int put_end(spawn_ledger *l, const spawn_ledger_record *r,
                   const char *text, size_t text_length)
{
    sqlite3_stmt *s = l->statements[END];
    const spawn_ledger_end *e = &r->end;

    (void)sqlite3_bind_int(s, 2, e->pid);
    (void)sqlite3_bind_int64(s, 3, e->started_at);
    (void)sqlite3_bind_int64(s, 4, e->ended_at);
    (void)sqlite3_bind_int64(s, 5, e->elapsed_us);
    (void)sqlite3_bind_int(s, 6, e->outcome);
    (void)sqlite3_bind_int(s, 7, e->exit_code);
    (void)sqlite3_bind_int(s, 8, e->signo);
    (void)sqlite3_bind_int(s, 9, e->core);
    (void)sqlite3_bind_int(s, 10, e->step);
    (void)sqlite3_bind_int(s, 11, e->error);
    if (text_length)
        (void)sqlite3_bind_text(s, 12, text, (int)text_length, SQLITE_STATIC);
    if (e->rusage_count)
        (void)sqlite3_bind_blob(s, 13, e->rusage,
                                (int)(e->rusage_count * sizeof(uint64_t)),
                                SQLITE_STATIC);
    if (e->result_kind >= 0)
        (void)sqlite3_bind_int64(s, 14, e->result_kind);
    if (r->alone)
        (void)sqlite3_bind_int(s, 15, 1);
    (void)sqlite3_bind_int(s, 16, r->attempt);
    return step(l, END);
}

/* A step towards the limit in bytes. */
static int trim(spawn_ledger *l, const spawn_ledger_record *r)
{
    sqlite3_stmt *s = l->statements[SIZE];
    int64_t size;

    (void)sqlite3_bind_int64(l->statements[TRIM], 1, r->before);
    if (step(l, TRIM))
        return -1;
    size = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_reset(s);
    if (!r->size || (uint64_t)size <= r->size)
        return 0;
    (void)sqlite3_bind_int(l->statements[TRIM_SOME], 1, TRIM_AT_ONCE);
    (void)sqlite3_bind_int64(l->statements[TRIM_SOME], 2, r->newest);
    return step(l, TRIM_SOME);
}

static int note_boot(spawn_ledger *l, const char *key)
{
    sqlite3_stmt *s = l->statements[META];
    char boot[37] = "";

    (void)spawn_os_boot_id(boot);
    (void)sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, boot, -1, SQLITE_STATIC);
    return step(l, META);
}

static void bind_id(spawn_ledger *l, int which, const spawn_id *id)
{
    (void)sqlite3_bind_blob(l->statements[which], 1, id->bytes, SPAWN_ID_SIZE,
                            SQLITE_STATIC);
}

int spawn_ledger_write(spawn_ledger *l, const spawn_ledger_record *r,
                       const void *message, const char *text,
                       size_t text_length)
{
    switch (r->type) {
    case SPAWN_LEDGER_PUT:
        bind_id(l, PUT, &r->id);
        return put(l, PUT, r, message);
    case SPAWN_LEDGER_REVIVE:
        bind_id(l, REVIVE, &r->id);
        return put(l, REVIVE, r, message);
    case SPAWN_LEDGER_ORDER:
        bind_id(l, STATE, &r->id);
        if (set_state(l, r, SPAWN_LEDGER_IS_ORDERED))
            return -1;
        return sqlite3_changes(l->db) > 0 ? 0 : SPAWN_LEDGER_KNOWS_NONE;
    case SPAWN_LEDGER_WAITS:
        bind_id(l, STATE, &r->id);
        return set_state(l, r, SPAWN_LEDGER_IS_WAITING);
    case SPAWN_LEDGER_END:
        bind_id(l, END, &r->id);
        return put_end(l, r, text, text_length);
    case SPAWN_LEDGER_DROP:
        bind_id(l, DROP, &r->id);
        (void)sqlite3_bind_int(l->statements[DROP], 2, r->state);
        return step(l, DROP);
    case SPAWN_LEDGER_TRIM:
        return trim(l, r);
    case SPAWN_LEDGER_READ:
        return note_boot(l, "boot_id");
    default:
        return 0;
    }
}

/* Of which boot its rows are only the broker says, when it has taken them. */
int spawn_ledger_probe(spawn_ledger *l)
{
    return note_boot(l, "probed");
}

/* ---- reading ---- */

bool spawn_ledger_other_boot(spawn_ledger *l)
{
    char now[37] = "";
    sqlite3_stmt *s;
    bool same = false;

    if (spawn_os_boot_id(now) < 0
        || sqlite3_prepare_v2(l->db,
                              "SELECT value FROM meta WHERE key = 'boot_id'",
                              -1, &s, NULL)
               != SQLITE_OK)
        return true;
    if (sqlite3_step(s) == SQLITE_ROW) {
        const char *was = (const char *)sqlite3_column_text(s, 0);

        same = was && strcmp(was, now) == 0;
    }
    (void)sqlite3_finalize(s);
    return !same;
}

/* Without a message where there is none that could be a job's: its reader says
 * so. */
static bool get_row(sqlite3_stmt *s, spawn_ledger_record *r)
{
    spawn_ledger_end *e = &r->end;
    const void *id = sqlite3_column_blob(s, 0), *usage;
    size_t length;

    memset(r, 0, sizeof(*r));
    r->type = SPAWN_LEDGER_ROW;
    if (!id || sqlite3_column_bytes(s, 0) != SPAWN_ID_SIZE)
        return false;
    memcpy(r->id.bytes, id, SPAWN_ID_SIZE);
    r->state = (uint16_t)sqlite3_column_int(s, 1);
    r->attempt = (uint16_t)sqlite3_column_int(s, 2);
    r->due_at = sqlite3_column_int64(s, 3);
    r->submitted_at = sqlite3_column_int64(s, 4);
    r->uid = (uid_t)sqlite3_column_int64(s, 5);
    r->length = (uint32_t)sqlite3_column_bytes(s, 6);
    if (r->length > SPAWN_LEDGER_MESSAGE_MAX)
        r->length = 0;
    r->pid = (pid_t)sqlite3_column_int64(s, 7);
    e->pid = sqlite3_column_int(s, 8);
    e->started_at = sqlite3_column_int64(s, 9);
    e->ended_at = sqlite3_column_int64(s, 10);
    e->elapsed_us = sqlite3_column_int64(s, 11);
    e->outcome = sqlite3_column_int(s, 12);
    e->exit_code = sqlite3_column_int(s, 13);
    e->signo = sqlite3_column_int(s, 14);
    e->core = sqlite3_column_int(s, 15);
    e->step = sqlite3_column_int(s, 16);
    e->error = sqlite3_column_int(s, 17);
    usage = sqlite3_column_blob(s, 19);
    length = usage ? (size_t)sqlite3_column_bytes(s, 19) : 0;
    if (length > sizeof(e->rusage))
        length = sizeof(e->rusage);
    if (length)
        memcpy(e->rusage, usage, length);
    e->rusage_count = (uint32_t)(length / sizeof(uint64_t));
    e->result_kind = sqlite3_column_type(s, 20) == SQLITE_NULL
                         ? -1
                         : sqlite3_column_int64(s, 20);
    r->alone = sqlite3_column_int(s, 21) != 0;
    r->chosen = sqlite3_column_int(s, 22) != 0;
    return true;
}

int spawn_ledger_rows(spawn_ledger *l, bool ended,
                      void (*row)(void *of, const spawn_ledger_record *r,
                                  const void *message, const char *text),
                      void *of)
{
    spawn_ledger_record r;
    sqlite3_stmt *s;
    int rv;

    if (sqlite3_prepare_v2(l->db,
                           "SELECT id, state, attempt, due_at, submitted_at,"
                           " uid, message, pid, " ENDED_COLUMNS ", chosen FROM"
                           " job"
                           " WHERE state < 4 OR alone OR ?1 ORDER BY seq",
                           -1, &s, NULL)
        != SQLITE_OK)
        return spawn_ledger_fail(l, l->db, "it cannot be read");
    (void)sqlite3_bind_int(s, 1, ended);
    while ((rv = sqlite3_step(s)) == SQLITE_ROW) {
        if (get_row(s, &r))
            row(of, &r, sqlite3_column_blob(s, 6),
                (const char *)sqlite3_column_text(s, 18));
    }
    if (rv != SQLITE_DONE)
        (void)spawn_ledger_fail(l, l->db, "it cannot be read");
    (void)sqlite3_finalize(s);
    return rv == SQLITE_DONE ? 0 : -1;
}
