/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the ledger, and how one becomes the next: all that is committed
 * is copied into a file that was never there, which counts as soon as it has
 * its name. Runs in the scribe. Must not remove a file before the next one is
 * on the disk, nor one that could not be read wholly.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_os.h"
#include "broker/store/ledger_file.h"

#define CHECK_UP_TO_MB 32
#define MARK           "durable.first"

static const char tables_sql[] =
    "CREATE TABLE job (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE, state INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, due_at INTEGER, submitted_at INTEGER NOT NULL,"
    " uid INTEGER, pid INTEGER, message BLOB NOT NULL,"
    " job_pid INTEGER, started_at INTEGER, ended_at INTEGER, elapsed INTEGER,"
    " outcome INTEGER, exit_code INTEGER, signal INTEGER, core INTEGER,"
    " step INTEGER, errno INTEGER, text TEXT, rusage BLOB,"
    " result_kind INTEGER, chosen INTEGER, alone INTEGER);"
    "CREATE INDEX job_open ON job(seq) WHERE state < 4;"
    "CREATE INDEX job_ended ON job(ended_at) WHERE state = 4;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "PRAGMA application_id=%d; PRAGMA user_version=%d;";

/* ---- files ---- */

int spawn_ledger_fail(spawn_ledger *l, sqlite3 *db, const char *what)
{
    int error = sqlite3_system_errno(db);

    l->full = (sqlite3_errcode(db) & 0xff) == SQLITE_FULL;
    (void)snprintf(l->why, sizeof(l->why), "%s: %s%s%s", what,
                   l->full ? "the disk is full" : sqlite3_errmsg(db),
                   error && !l->full ? ": " : "",
                   error && !l->full ? strerror(error) : "");
    return -1;
}

int spawn_ledger_fail_errno(spawn_ledger *l, const char *what)
{
    l->full = errno == ENOSPC || errno == EDQUOT;
    (void)snprintf(l->why, sizeof(l->why), "%s: %s", what, strerror(errno));
    return -1;
}

void spawn_ledger_path(const spawn_ledger *l, char *room, const char *fmt,
                       unsigned number)
{
    int n = snprintf(room, PATH_MAX, "%s/", l->directory);

    if (n < 0 || n >= PATH_MAX) {
        *room = '\0';
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(room + n, (size_t)(PATH_MAX - n), fmt, number);
#pragma GCC diagnostic pop
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC), rv = -1, error;

    if (fd < 0)
        return -1;
    rv = fsync(fd);
    error = errno;
    (void)close(fd);
    errno = error;
    return rv;
}

/* Its directory, and the one that has this directory, which may be new. */
static int sync_directories(spawn_ledger *l)
{
    char path[PATH_MAX];

    spawn_ledger_path(l, path, "..", 0);
    if (sync_path(l->directory, O_RDONLY | O_DIRECTORY) < 0)
        return spawn_ledger_fail_errno(l, "its directory cannot be synced");
    (void)sync_path(path, O_RDONLY | O_DIRECTORY); /* may be closed to us */
    return 0;
}

static void remove_file(const spawn_ledger *l, unsigned number)
{
    char path[PATH_MAX];

    spawn_ledger_path(l, path, "durable-%u.db", number);
    (void)unlink(path);
    spawn_ledger_path(l, path, "durable-%u.db-wal", number);
    (void)unlink(path);
    spawn_ledger_path(l, path, "durable-%u.db-shm", number);
    (void)unlink(path);
}

/* 0: not the name of one. */
static unsigned number_of(const char *name)
{
    unsigned long n;
    char *end;

    if (strncmp(name, "durable-", 8) != 0)
        return 0;
    n = strtoul(name + 8, &end, 10);
    return strcmp(end, ".db") == 0 && n < UINT_MAX ? (unsigned)n : 0;
}

unsigned spawn_ledger_find(spawn_ledger *l)
{
    DIR *dir = opendir(l->directory);
    unsigned highest = 0, n;
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        n = number_of(e->d_name);
        if (n > highest)
            highest = n;
    }
    if (dir)
        rewinddir(dir);
    while (dir && (e = readdir(dir))) {
        n = number_of(e->d_name);
        if (n && n < highest)
            remove_file(l, n);
    }
    if (dir)
        (void)closedir(dir);
    return highest;
}

/* It is whole: sync it, and give it its name. */
static int finish(spawn_ledger *l, unsigned number)
{
    char from[PATH_MAX], path[PATH_MAX];

    spawn_ledger_path(l, from, "durable-%u.new", number);
    spawn_ledger_path(l, path, "durable-%u.db", number);
    if (sync_path(from, O_RDWR) < 0)
        return spawn_ledger_fail_errno(l, "a new file cannot be synced");
    if (rename(from, path) < 0)
        return spawn_ledger_fail_errno(l, "a new file cannot be named");
    return sync_directories(l);
}

static int make_tables(sqlite3 *db)
{
    char sql[sizeof(tables_sql) + 200];

    (void)snprintf(sql, sizeof(sql), tables_sql, SPAWN_LEDGER_APPLICATION,
                   SPAWN_LEDGER_LAYOUT);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int open_new(spawn_ledger *l, unsigned number, sqlite3 **ret)
{
    char path[PATH_MAX];

    spawn_ledger_path(l, path, "durable-%u.new", number);
    (void)unlink(path);
    if (sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        NULL)
            != SQLITE_OK
        || sqlite3_exec(*ret,
                        "PRAGMA locking_mode=EXCLUSIVE;"
                        "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF",
                        NULL, NULL, NULL)
               != SQLITE_OK)
        return spawn_ledger_fail(l, *ret, "a new file cannot be made");
    return 0;
}

int spawn_ledger_begin_anew(spawn_ledger *l)
{
    char boot[37] = "", sql[100];
    sqlite3 *db = NULL;
    int rv = open_new(l, 1, &db);

    (void)spawn_os_boot_id(boot);
    (void)snprintf(sql, sizeof(sql), "INSERT INTO meta VALUES('boot_id','%s')",
                   boot);
    if (rv == 0
        && (make_tables(db) != SQLITE_OK
            || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK))
        rv = spawn_ledger_fail(l, db, "a new file cannot be made");
    if (sqlite3_close(db) != SQLITE_OK)
        rv = -1;
    if (rv == 0)
        rv = finish(l, 1);
    if (rv == 0)
        l->number = 1;
    return rv;
}

static bool look(const spawn_ledger *l, struct stat *ret)
{
    char path[PATH_MAX];

    spawn_ledger_path(l, path, "durable-%u.db", l->number);
    return lstat(path, ret) == 0;
}

void spawn_ledger_note_place(spawn_ledger *l)
{
    struct stat st;

    l->inode = 0;
    if (!look(l, &st))
        return;
    l->device = st.st_dev;
    l->inode = st.st_ino;
}

bool spawn_ledger_in_place(const spawn_ledger *l)
{
    struct stat st;

    return look(l, &st) && st.st_dev == l->device && st.st_ino == l->inode;
}

/* Reads all pages, so only while that is a matter of milliseconds. */
bool spawn_ledger_whole(const spawn_ledger *l, sqlite3 *db)
{
    char path[PATH_MAX];
    sqlite3_stmt *s = NULL;
    struct stat st;
    bool good = false;

    spawn_ledger_path(l, path, "durable-%u.db", l->number);
    if (stat(path, &st) == 0 && st.st_size > (off_t)CHECK_UP_TO_MB << 20)
        return true;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL)
            == SQLITE_OK
        && sqlite3_step(s) == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(s, 0);

        good = word && strcmp(word, "ok") == 0;
    }
    (void)sqlite3_finalize(s);
    return good;
}

/* A release that does not know one of them leaves it empty. */
const char *const spawn_ledger_later[SPAWN_LEDGER_LATER] = {"result_kind",
                                                            "chosen", "alone"};

bool spawn_ledger_has_column(sqlite3 *db, const char *name)
{
    sqlite3_stmt *s = NULL;
    char sql[80];
    bool has;

    (void)snprintf(sql, sizeof(sql), "SELECT %s FROM job LIMIT 0", name);
    has = sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK;
    (void)sqlite3_finalize(s);
    return has;
}

/* ---- the copy ---- */

/* Two connections, since what is damaged in one spoils its transactions. */
typedef struct {
    spawn_ledger *l;
    sqlite3 *old, *new;
    unsigned copied, lost;
    bool damaged;
} copy;

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static bool is_damage(int code)
{
    code &= 0xff;
    /* ERROR: not even the layout can be read */
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB
           || code == SQLITE_ERROR;
}

static int fail_old(copy *c)
{
    return spawn_ledger_fail(c->l, c->old, "it cannot be read");
}

static int fail_new(copy *c)
{
    return spawn_ledger_fail(c->l, c->new, "it cannot be copied");
}

/* 0; 1: there is none, or it is damaged; -1 */
static int copy_row(copy *c, sqlite3_stmt *get, sqlite3_stmt *put, int64_t seq)
{
    int i, rv, result = 0;

    (void)sqlite3_bind_int64(get, 1, seq);
    rv = sqlite3_step(get);
    if (rv == SQLITE_ROW) {
        for (i = 0; i < sqlite3_column_count(get); i++)
            (void)sqlite3_bind_value(put, i + 1, sqlite3_column_value(get, i));
        rv = sqlite3_step(put);
        (void)sqlite3_reset(put);
        if (rv != SQLITE_DONE && (rv & 0xff) != SQLITE_CONSTRAINT)
            result = fail_new(c);
        c->copied += rv == SQLITE_DONE;
    }
    else if (rv == SQLITE_DONE || is_damage(rv)) {
        c->lost++;
    }
    else {
        result = fail_old(c);
    }
    (void)sqlite3_reset(get);
    return result;
}

/* From one end until all are copied, or the damage is met. 0, 1 or -1 */
static int copy_from(copy *c, const char *list, sqlite3_stmt *get,
                     sqlite3_stmt *put)
{
    sqlite3_stmt *s = NULL;
    int rv = sqlite3_prepare_v2(c->old, list, -1, &s, NULL), result = 0;

    while (result == 0
           && (rv == SQLITE_OK || rv == SQLITE_ROW || rv == SQLITE_DONE)) {
        rv = sqlite3_step(s);
        if (rv != SQLITE_ROW)
            break;
        result = copy_row(c, get, put, sqlite3_column_int64(s, 0));
    }
    if (result == 0 && rv != SQLITE_DONE)
        result = is_damage(rv) ? 1 : fail_old(c);
    (void)sqlite3_finalize(s);
    return result;
}

static int copy_rows(copy *c)
{
    static const char columns[] =
        "seq, id, state, attempt, due_at, submitted_at, uid, pid, message,"
        " job_pid, started_at, ended_at, elapsed, outcome, exit_code, signal,"
        " core, step, errno, text, rusage";
    char from[sizeof(columns) + 80], into[sizeof(columns) + 140];
    const char *has[SPAWN_LEDGER_LATER];
    sqlite3_stmt *get = NULL, *put = NULL;
    int rv, i;

    for (i = 0; i < SPAWN_LEDGER_LATER; i++)
        has[i] = spawn_ledger_has_column(c->old, spawn_ledger_later[i])
                     ? spawn_ledger_later[i]
                     : "NULL";
    (void)snprintf(from, sizeof(from),
                   "SELECT %s, %s, %s, %s FROM job WHERE seq = ?1", columns,
                   has[0], has[1], has[2]);
    (void)snprintf(into, sizeof(into),
                   "INSERT INTO job(%s, %s, %s, %s) VALUES(?,?,?,?,?,?,?,?,?,?,"
                   "?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                   columns, spawn_ledger_later[0], spawn_ledger_later[1],
                   spawn_ledger_later[2]);
    rv = sqlite3_prepare_v2(c->old, from, -1, &get, NULL);
    if (rv != SQLITE_OK) {
        c->damaged = true;
        return is_damage(rv) ? 0 : fail_old(c);
    }
    rv = sqlite3_prepare_v2(c->new, into, -1, &put, NULL) != SQLITE_OK
             ? fail_new(c)
             : copy_from(c, "SELECT seq FROM job ORDER BY seq", get, put);
    if (rv == 1) {
        c->damaged = true;
        rv = copy_from(c, "SELECT seq FROM job ORDER BY seq DESC", get, put);
    }
    (void)sqlite3_finalize(get);
    (void)sqlite3_finalize(put);
    return rv < 0 ? -1 : 0;
}

/* All that is noted in it: which boot it is of. */
static int copy_boot(copy *c)
{
    sqlite3_stmt *get = NULL, *put = NULL;
    int rv = 0;

    if (sqlite3_prepare_v2(c->old,
                           "SELECT value FROM meta WHERE key = 'boot_id'", -1,
                           &get, NULL)
            == SQLITE_OK
        && sqlite3_step(get) == SQLITE_ROW
        && sqlite3_prepare_v2(c->new, "INSERT INTO meta VALUES('boot_id', ?1)",
                              -1, &put, NULL)
               == SQLITE_OK) {
        (void)sqlite3_bind_value(put, 1, sqlite3_column_value(get, 0));
        if (sqlite3_step(put) != SQLITE_DONE)
            rv = fail_new(c);
    }
    (void)sqlite3_finalize(get);
    (void)sqlite3_finalize(put);
    return rv;
}

/* It may be a newer one's. */
static int check_layout(copy *c)
{
    sqlite3_stmt *s = NULL;
    int layout = 0;

    if (sqlite3_prepare_v2(c->old, "PRAGMA user_version", -1, &s, NULL)
            == SQLITE_OK
        && sqlite3_step(s) == SQLITE_ROW)
        layout = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    if (layout <= SPAWN_LEDGER_LAYOUT)
        return 0;
    (void)snprintf(c->l->why, sizeof(c->l->why),
                   "durable-%u.db was written by a newer mod_spawn (layout %d, "
                   "this one knows %d)",
                   c->l->number, layout, SPAWN_LEDGER_LAYOUT);
    return -1;
}

static int copy_all(copy *c)
{
    if (check_layout(c))
        return -1;
    if (!spawn_ledger_whole(c->l, c->old))
        c->damaged = true;
    if (run(c->new, "BEGIN") != SQLITE_OK || make_tables(c->new) != SQLITE_OK)
        return fail_new(c);
    if (copy_rows(c) || copy_boot(c))
        return -1;
    if (c->lost)
        c->damaged = true;
    return run(c->new, "COMMIT") == SQLITE_OK ? 0 : fail_new(c);
}

static int open_old(copy *c)
{
    char path[PATH_MAX];

    spawn_ledger_path(c->l, path, "durable-%u.db", c->l->number);
    if (sqlite3_open_v2(path, &c->old, SQLITE_OPEN_READWRITE, NULL)
        != SQLITE_OK)
        return spawn_ledger_fail(c->l, c->old, "it cannot be opened");
    (void)run(c->old, "PRAGMA locking_mode=EXCLUSIVE");
    (void)sqlite3_db_config(c->old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return 0;
}

/* By the connection that has it open, if any: what that one did not commit is
 * left out, also when the file has it. */
static int make_copy(copy *c, sqlite3 *db)
{
    int rv = open_new(c->l, c->l->number + 1, &c->new);

    c->old = db;
    if (rv == 0 && !db)
        rv = open_old(c);
    if (rv == 0)
        rv = copy_all(c);
    if (!db)
        (void)sqlite3_close(c->old);
    if (sqlite3_close(c->new) != SQLITE_OK)
        rv = -1;
    return rv;
}

static void set_aside(const spawn_ledger *l, unsigned number)
{
    char from[PATH_MAX], path[PATH_MAX];

    spawn_ledger_path(l, from, "durable-%u.db", number);
    spawn_ledger_path(l, path, "damaged-durable-%u.db", number);
    (void)rename(from, path);
    spawn_ledger_path(l, from, "durable-%u.db-wal", number);
    spawn_ledger_path(l, path, "damaged-durable-%u.db-wal", number);
    (void)rename(from, path);
    remove_file(l, number);
}

int spawn_ledger_copy(spawn_ledger *l, sqlite3 *db)
{
    copy c = {.l = l};
    unsigned old = l->number;

    if (make_copy(&c, db) || finish(l, old + 1))
        return -1;
    l->number = old + 1;
    if (!c.damaged) {
        remove_file(l, old);
        return 0;
    }
    set_aside(l, old);
    l->damaged = old;
    l->kept = c.copied;
    return 0;
}

bool spawn_ledger_there(const char *directory)
{
    DIR *dir = opendir(directory);
    bool there = false;
    struct dirent *e;

    while (dir && !there && (e = readdir(dir)))
        there = number_of(e->d_name) > 0 || strcmp(e->d_name, MARK) == 0;
    if (dir)
        (void)closedir(dir);
    return there;
}

/* Not synced: who loses the power has no scribe that is still to make one. */
void spawn_ledger_mark(const char *directory)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/" MARK, directory), fd;

    if (n < 0 || n >= PATH_MAX)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)close(fd);
}

void spawn_ledger_unmark(const spawn_ledger *l)
{
    char path[PATH_MAX];

    spawn_ledger_path(l, path, MARK, 0);
    (void)unlink(path);
}
