/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the store: the schema, and a clear error for a file that cannot be
 * used. Runs in the broker, at its start. Must not touch a database that is not
 * ours or that is newer.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/store/launches.h"
#include "broker/store/look.h"
#include "broker/store/lock.h"
#include "broker/store/place.h"
#include "broker/store/recent.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define SCHEMA         5
#define APPLICATION    0x73706e31 /* "spn1" */
#define WAIT_FOR_LOCK  5000       /* ms; a predecessor may be on its way out */
#define CHECK_UP_TO_MB 32
#define WHOLE_UP_TO_MB 256  /* some seconds of a slow disk */
#define VACUUM_UP_TO   2048 /* pages */

/* The rules that jobs bring: job/rules.h. Times of the wall clock, in ms;
 * _boot: the same moment as spawn_boot_ms, where that one counts. attempt: the
 * number of the present one; round: of the first one since the job came, or was
 * revived; retries: how many may follow it, -1: as many as the order says. */
#define RULE(ADD)                                                              \
    ADD("due_at INTEGER")                                                      \
    ADD("due_boot INTEGER")                                                    \
    ADD("expires_at INTEGER")                                                  \
    ADD("expires_boot INTEGER")                                                \
    ADD("priority INTEGER NOT NULL DEFAULT 0")                                 \
    ADD("attempt INTEGER NOT NULL DEFAULT 1")                                  \
    ADD("retries INTEGER NOT NULL DEFAULT -1")                                 \
    ADD("dead INTEGER NOT NULL DEFAULT 0")                                     \
    ADD("unique_key TEXT")                                                     \
    ADD("unique_until INTEGER")                                                \
    ADD("needs INTEGER NOT NULL DEFAULT 0")                                    \
    KEY(ADD)
#define KEY(ADD)                                                               \
    ADD("unique_boot INTEGER")                                                 \
    ADD("round INTEGER NOT NULL DEFAULT 1")
#define RULE_IN_TABLE(column) ", " column
#define RULE_ADDED(column)    "ALTER TABLE job ADD COLUMN " column ";"
#define RULE_COLUMNS          RULE(RULE_IN_TABLE)

/* attempt: those that have ended, and were not the last one. need: which jobs a
 * job waits for; needs of a job: 1 + its after_failed. unique_hold: jobs that
 * have ended, and have their key still. unique_until of a job: 0: until it
 * starts, 1: until it has ended, else a moment as well; NULL: it has given its
 * key up. */
#define RULE_TABLES                                                            \
    "CREATE INDEX job_dead ON job(seq) WHERE dead = 1;"                        \
    "CREATE TABLE attempt (seq INTEGER NOT NULL, number INTEGER NOT NULL,"     \
    " started_at INTEGER, ended_at INTEGER, elapsed INTEGER, pid INTEGER,"     \
    " outcome INTEGER, exit_code INTEGER, signal INTEGER, core INTEGER,"       \
    " step INTEGER, errno INTEGER, text TEXT, rusage BLOB,"                    \
    " result_kind INTEGER, out BLOB, err BLOB, result BLOB,"                   \
    " out_lost INTEGER, err_lost INTEGER,"                                     \
    " out_cut INTEGER, err_cut INTEGER, result_cut INTEGER,"                   \
    " UNIQUE(seq, number));"                                                   \
    "CREATE TABLE need (seq INTEGER NOT NULL, id BLOB NOT NULL,"               \
    " PRIMARY KEY(seq, id)) WITHOUT ROWID;" KEY_TABLES
#define KEY_TABLES                                                             \
    "CREATE TABLE unique_hold (queue TEXT NOT NULL, key TEXT NOT NULL,"        \
    " id BLOB NOT NULL, until INTEGER NOT NULL, until_boot INTEGER,"           \
    " PRIMARY KEY(queue, key)) WITHOUT ROWID;"                                 \
    "CREATE INDEX unique_hold_until ON unique_hold(until);"

static const char schema_sql[] =
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id BLOB NOT NULL UNIQUE,"
    " queue TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " digest INTEGER NOT NULL,"
    " fds INTEGER NOT NULL,"
    " cancel INTEGER NOT NULL DEFAULT 0,"
    " caller_uid INTEGER, caller_pid INTEGER,"
    " submitted_at INTEGER NOT NULL,"
    " started_at INTEGER, ended_at INTEGER, elapsed INTEGER,"
    " pid INTEGER, boot_started INTEGER, instance BLOB,"
    " outcome INTEGER, exit_code INTEGER, signal INTEGER, core INTEGER,"
    " step INTEGER, errno INTEGER, text TEXT, rusage BLOB,"
    " body BLOB NOT NULL,"
    " template TEXT, progress BLOB, result_kind INTEGER,"
    " end_seq INTEGER NOT NULL DEFAULT 0" /* order of ends */
    RULE_COLUMNS ");"
    "CREATE INDEX job_open ON job(seq) WHERE state < 4;"
    "CREATE INDEX job_end_seq ON job(end_seq) WHERE state = 4;"
    "CREATE INDEX job_ended ON job(ended_at) WHERE state = 4;"
    "CREATE TABLE input (seq INTEGER PRIMARY KEY, data BLOB NOT NULL,"
    " args BLOB);"
    "CREATE TABLE output (seq INTEGER PRIMARY KEY,"
    " out BLOB, err BLOB, out_lost INTEGER, err_lost INTEGER,"
    " result BLOB,"
    " out_cut INTEGER, err_cut INTEGER, result_cut INTEGER);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT "
    "ROWID;"
    "INSERT INTO meta VALUES('" SPAWN_UNSALVAGED "', 1);" RULE_TABLES;

/* Processes that were sent TERM: grace.c. Other releases of this layout do not
 * have it. */
static const char grace_sql[] =
    "CREATE TABLE IF NOT EXISTS grace (id BLOB PRIMARY KEY,"
    " boot TEXT NOT NULL, pid INTEGER NOT NULL, noted INTEGER NOT NULL,"
    " until INTEGER NOT NULL, timed_out INTEGER NOT NULL) WITHOUT ROWID;";

/* Recurring jobs: cron.c. The same. */
static const char cron_sql[] =
    "CREATE TABLE IF NOT EXISTS cron (name TEXT PRIMARY KEY,"
    " plan TEXT NOT NULL, done INTEGER NOT NULL, round INTEGER NOT NULL,"
    " shown INTEGER NOT NULL, paused INTEGER NOT NULL, id BLOB,"
    " planned INTEGER, ended INTEGER,"
    " outcome INTEGER, exit_code INTEGER, signal INTEGER, started_at INTEGER,"
    " ended_at INTEGER, configured INTEGER NOT NULL) WITHOUT ROWID;";

/* Changes of queues by hand: control.c. The same. */
static const char control_sql[] =
    "CREATE TABLE IF NOT EXISTS queue_control (queue TEXT PRIMARY KEY,"
    " mode INTEGER NOT NULL, scale INTEGER NOT NULL,"
    " changed INTEGER NOT NULL, uid INTEGER NOT NULL) WITHOUT ROWID;";

/* Jobs of shared queues: share.c. The same; the trigger is for all releases. */
static const char share_sql[] =
    "CREATE TABLE IF NOT EXISTS share (seq INTEGER PRIMARY KEY,"
    " role INTEGER NOT NULL, stage INTEGER NOT NULL, host TEXT NOT NULL,"
    " told INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS share_untold ON share(seq)"
    " WHERE told = 0 AND role = 2;"
    "CREATE TRIGGER IF NOT EXISTS share_goes AFTER DELETE ON job"
    " BEGIN DELETE FROM share WHERE seq = old.seq; END;";

/* Jobs that failed, for lists (list.c): without it they are searched for. The
 * same; a big store would take too long to make it. */
static const char failed_sql[] =
    "CREATE INDEX IF NOT EXISTS job_failed ON job(seq) WHERE " SPAWN_FAILED ";";

/* From layout 1, which knew programs only. */
static const char from_1_sql[] =
    "ALTER TABLE job ADD COLUMN template TEXT;"
    "ALTER TABLE job ADD COLUMN progress BLOB;"
    "ALTER TABLE job ADD COLUMN result_kind INTEGER;"
    "ALTER TABLE input ADD COLUMN args BLOB;"
    "ALTER TABLE output ADD COLUMN result BLOB;";

/* From layout 2, which had the time of day for the order of ends. */
static const char from_2_sql[] =
    "ALTER TABLE job ADD COLUMN end_seq INTEGER NOT NULL DEFAULT 0;"
    "UPDATE job SET end_seq = e.place FROM"
    " (SELECT seq, row_number() OVER (ORDER BY ended_at, seq) AS place"
    "  FROM job WHERE state = 4) AS e WHERE job.seq = e.seq;"
    "CREATE INDEX job_end_seq ON job(end_seq) WHERE state = 4;"
    "ALTER TABLE output ADD COLUMN out_cut INTEGER;"
    "ALTER TABLE output ADD COLUMN err_cut INTEGER;"
    "ALTER TABLE output ADD COLUMN result_cut INTEGER;";

/* From layout 3, whose jobs started as soon as they could, and once. */
static const char from_3_sql[] =
    RULE(RULE_ADDED) RULE_TABLES "PRAGMA user_version=5;";

/* From layout 4, which had columns for priorities, keys and needs, and no jobs
 * with any. */
static const char from_4_sql[] =
    KEY(RULE_ADDED) KEY_TABLES "DROP INDEX job_unique;"
                               "DROP INDEX need_id;"
                               "PRAGMA user_version=5;";

static int run(spawn_store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* A number that a pragma or a query gives, or -1. */
static int64_t number(spawn_store *store, const char *sql)
{
    sqlite3_stmt *s;
    int64_t n = -1;

    if (sqlite3_prepare_v2(store->db, sql, -1, &s, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(s) == SQLITE_ROW)
        n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return n;
}

/* SQLite does not say on which directory of the path it failed. */
static bool closed_to_us(const spawn_store *store, spawn_failure *why)
{
    char up_to[PATH_MAX];
    struct stat st;
    char *end = up_to;

    (void)strcpy(up_to, store->path);
    while ((end = strchr(end + 1, '/')) != NULL) {
        *end = '\0';
        if (stat(up_to, &st) < 0)
            return false;
        if (access(up_to, X_OK) < 0 && errno == EACCES) {
            spawn_failure_set(
                why, SPAWN_E_STORE, SPAWN_STEP_STORE, EACCES,
                "the store cannot be opened: the directory "
                "%.180s cannot be entered by uid %u (the "
                "broker's); chmod o+x it or choose another SpawnStore",
                up_to, (unsigned)geteuid());
            return true;
        }
        *end = '/';
    }
    return false;
}

static int newer(const spawn_store *store, int64_t version, spawn_failure *why)
{
    spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                      "the store %.160s was written by a newer mod_spawn "
                      "(layout %lld, this one knows %d); install that "
                      "one again or move the file away",
                      store->path, (long long)version, SCHEMA);
    return -1;
}

static int damaged(spawn_store *store, spawn_failure *why)
{
    int64_t version = number(store, "PRAGMA user_version");

    /* SQLite takes words that it does not know for damage */
    if (version > SCHEMA
        && number(store, "PRAGMA application_id") == APPLICATION)
        return newer(store, version, why);
    store->damaged = true;
    spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                      "the store %.160s is damaged or not a database, and "
                      "cannot be set aside; move it away (with -wal) to start "
                      "with an empty one",
                      store->path);
    return -1;
}

static int fail(spawn_store *store, spawn_failure *why, const char *what)
{
    int code = sqlite3_extended_errcode(store->db);

    if ((code & 0xff) == SQLITE_CANTOPEN && closed_to_us(store, why))
        return -1;
    store->full = spawn_store_full(store);
    spawn_failure_set(
        why, SPAWN_E_STORE, SPAWN_STEP_STORE, sqlite3_system_errno(store->db),
        "the store %.120s %s: %.80s", store->path, what,
        store->full ? "the disk is full" : sqlite3_errmsg(store->db));
    if ((code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CORRUPT)
        return damaged(store, why);
    if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store %.160s is in use by another process; end "
                          "that one (fuser names it) or choose another "
                          "SpawnStore",
                          store->path);
    return -1;
}

/* Modes that must stand before the first page is read. The lock is taken at
 * the first read and kept; with it the WAL index needs no shared memory. */
static int set_modes(spawn_store *store, spawn_failure *why)
{
    if (run(store, "PRAGMA locking_mode=EXCLUSIVE")
        || run(store, "PRAGMA temp_store=MEMORY")
        || run(store, "PRAGMA cache_size=-512")
        || run(store, "PRAGMA mmap_size=0"))
        return fail(store, why, "cannot be set up");
    (void)run(store, "PRAGMA auto_vacuum=INCREMENTAL"); /* for a new database */
    /* else (Debian has it on) dropped content is written once more, as zeros */
    (void)run(store, "PRAGMA secure_delete=FAST");
    if (run(store, "PRAGMA journal_mode=WAL"))
        return fail(store, why, "cannot be opened");
    if (run(store, "PRAGMA synchronous=OFF")
        || run(store, "PRAGMA journal_size_limit=1048576"))
        return fail(store, why, "cannot be set up");
    return 0;
}

/* All of it or nothing: a broker that is killed here leaves the old layout. */
static int migrate(spawn_store *store, int64_t version, spawn_failure *why)
{
    if (run(store, "BEGIN IMMEDIATE")
        || (version <= 1 && run(store, from_1_sql))
        || (version <= 2 && run(store, from_2_sql))
        || run(store, version <= 3 ? from_3_sql : from_4_sql)
        || run(store, "COMMIT"))
        return fail(store, why,
                    "cannot be brought to the layout of this release");
    if (number(store, "PRAGMA page_count")
        < VACUUM_UP_TO) /* so that it can shrink */
        (void)(run(store, "PRAGMA auto_vacuum=INCREMENTAL")
               || run(store, "VACUUM"));
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0897) "the store %s was written by an older mod_spawn: it "
                         "was brought from layout %lld to %d, which that one "
                         "does not know",
              store->path, (long long)version, SCHEMA);
    return 0;
}

static int check_identity(spawn_store *store, spawn_failure *why)
{
    int64_t application = number(store, "PRAGMA application_id");
    int64_t version = number(store, "PRAGMA user_version");
    int64_t tables = number(store, "SELECT count(*) FROM sqlite_master");

    if (application < 0 || version < 0 || tables < 0)
        return fail(store, why, "cannot be read");
    if (tables == 0) {
        char sql[100];

        (void)snprintf(sql, sizeof(sql),
                       "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                       APPLICATION, SCHEMA);
        if (run(store, "BEGIN IMMEDIATE") || run(store, schema_sql)
            || run(store, sql) || run(store, "COMMIT"))
            return fail(store, why, "cannot be written");
        return 0;
    }
    if (application != APPLICATION) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "%.160s is the database of another program; give "
                          "SpawnStore a directory of its own",
                          store->path);
        return -1;
    }
    if (version >= 1 && version < SCHEMA)
        return migrate(store, version, why);
    if (version != SCHEMA)
        return newer(store, version, why);
    return 0;
}

/* Was it written since the machine's start? */
static bool is_of_this_boot(spawn_store *store)
{
    char now[37] = "";
    sqlite3_stmt *s;
    bool same = false;

    if (spawn_os_boot_id(now) < 0
        || sqlite3_prepare_v2(store->db,
                              "SELECT value FROM meta WHERE key = 'boot_id'",
                              -1, &s, NULL)
               != SQLITE_OK)
        return true;
    if (sqlite3_step(s) == SQLITE_ROW) {
        const char *was = (const char *)sqlite3_column_text(s, 0);

        same = was && strcmp(was, now) == 0;
    }
    (void)sqlite3_finalize(s);
    return same;
}

static bool is_bigger(const spawn_store *store, unsigned mb)
{
    struct stat st;

    return stat(store->path, &st) == 0 && st.st_size > (off_t)mb << 20;
}

/* Reads all pages, so only while that is a matter of milliseconds. It is not
 * synced: where the power was cut, pages of different moments are in it. Each
 * may be good, and an index not be of its table, so then all is compared, of a
 * big one later. */
static int check_pages(spawn_store *store, spawn_failure *why, bool *ret_later)
{
    bool marked = spawn_store_marked(store);
    bool whole = marked || !is_of_this_boot(store);
    sqlite3_stmt *s;
    bool good = false;
    int rv;

    *ret_later = whole && !marked && is_bigger(store, WHOLE_UP_TO_MB);
    if (*ret_later || (!whole && is_bigger(store, CHECK_UP_TO_MB)))
        return 0;
    if (sqlite3_prepare_v2(store->db,
                           whole ? "PRAGMA integrity_check(1)"
                                 : "PRAGMA quick_check(1)",
                           -1, &s, NULL)
        != SQLITE_OK)
        return fail(store, why, "cannot be checked");
    rv = sqlite3_step(s);
    if (rv == SQLITE_ROW) {
        const char *word = (const char *)sqlite3_column_text(s, 0);

        good = word && strcmp(word, "ok") == 0;
    }
    (void)sqlite3_finalize(s);
    if (rv != SQLITE_ROW)
        return fail(store, why, "cannot be checked");
    if (good && marked)
        spawn_store_unmark(store, true);
    return good ? 0 : damaged(store, why);
}

/* When there is no room for the first write, old outputs go. */
static int check_write(spawn_store *store, spawn_failure *why)
{
    static const char sql[] =
        "INSERT INTO meta(key, value) VALUES('opened', 1)"
        " ON CONFLICT(key) DO UPDATE SET value = value + 1";
    int rv = run(store, sql);

    if (rv && spawn_store_full(store)) {
        (void)spawn_store_make_room(store);
        rv = run(store, sql); /* this error is the one to report */
    }
    return rv ? fail(store, why, "cannot be written") : 0;
}

/* A lock of a dead process keeps out all others, as it keeps out us. Each store
 * has one broker only, which can do without a lock of its own. */
static int open_once(spawn_store *store, spawn_failure *why)
{
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const char *vfs =
        spawn_store_locked_by_the_dead(store) ? "unix-none" : NULL;
    bool later = false;
    int look;

    store->full = store->damaged = false;
    if (sqlite3_open_v2(store->path, &store->db, flags, vfs) != SQLITE_OK) {
        (void)fail(store, why, "cannot be opened");
        goto bad;
    }
    (void)sqlite3_busy_timeout(store->db, WAIT_FOR_LOCK);
    if (set_modes(store, why) || check_identity(store, why)
        || check_pages(store, why, &later))
        goto bad;
    if (run(store, grace_sql) || run(store, cron_sql) || run(store, control_sql)
        || run(store, share_sql)) {
        (void)fail(store, why, "cannot be written");
        goto bad;
    }
    if (!is_bigger(store, WHOLE_UP_TO_MB))
        (void)run(store, failed_sql);
    if (spawn_sql_prepare_transactions(store)
        || spawn_store_prepare_write(store) || spawn_store_prepare_read(store)
        || spawn_store_prepare_history(store) || spawn_store_prepare_room(store)
        || spawn_store_prepare_grace(store) || spawn_store_prepare_cron(store)
        || spawn_store_prepare_control(store)
        || spawn_store_prepare_share(store)
        || spawn_store_prepare_attempts(store)
        || spawn_store_prepare_order(store) || spawn_store_prepare_look(store)
        || spawn_store_prepare_dead(store) || spawn_store_prepare_list(store)) {
        (void)fail(store, why, "is not laid out as expected");
        goto bad;
    }
    look = later ? spawn_look_begin(store) : 0;
    if (look) {
        (void)(look < 0 ? damaged(store, why)
                        : fail(store, why, "cannot be checked"));
        goto bad;
    }
    if (check_write(store, why))
        goto bad;
    (void)sqlite3_busy_timeout(store->db, 0);
    if (spawn_launches_open(store, why) == 0)
        return 0;
bad:
    spawn_store_close(store);
    return -1;
}

spawn_store *spawn_store_new(void)
{
    spawn_store *store = spawn_alloc(sizeof(*store));

    store->lock.mark = store->launches.fd = -1;
    spawn_recent_begin(store, UINT64_MAX);
    return store;
}

/* False: the path is too long. */
static bool set_directory(spawn_store *store, const char *directory)
{
    int n = snprintf(store->directory, PATH_MAX, "%s", directory);

    return n >= 0 && n < PATH_MAX
           && spawn_store_path(store, store->path, "jobs.db") == 0;
}

int spawn_store_open(spawn_store *store, const char *directory,
                     spawn_failure *why, bool *ret_full)
{
    int rv;

    *ret_full = false;
    if (directory && !set_directory(store, directory)) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, ENAMETOOLONG,
                          "SpawnStore: the path is too long");
        return -1;
    }
    /* for the process: a second call changes nothing */
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    spawn_store_watch_damage();
    rv = open_once(store, why);
    if (rv && store->full && spawn_store_release_reserve(store))
        rv = open_once(store, why);
    if (rv && store->damaged)
        rv = open_once(store, why); /* it may have been read wrongly */
    if (rv && store->damaged && spawn_store_set_aside(store, why))
        rv = open_once(store, why);
    spawn_store_damage_over();
    *ret_full = rv && store->full;
    return rv;
}

const char *spawn_store_error(const spawn_store *store)
{
    return spawn_sql_outgrown(store) ? sqlite3_errstr(SQLITE_FULL)
                                     : sqlite3_errmsg(store->db);
}

int spawn_store_error_code(const spawn_store *store)
{
    int code = spawn_sql_outgrown(store) ? SQLITE_FULL
                                         : sqlite3_errcode(store->db) & 0xff;

    return code == SQLITE_OK || code >= SQLITE_ROW ? SQLITE_ERROR : code;
}

bool spawn_store_is_open(const spawn_store *store)
{
    return store->db != NULL;
}

void spawn_store_close(spawn_store *store)
{
    spawn_launches_close(store);
    if (!store->db)
        return;
    spawn_sql_finish_transactions(store);
    spawn_store_finish_write(store);
    spawn_store_finish_read(store);
    spawn_store_finish_history(store);
    spawn_store_finish_room(store);
    spawn_store_finish_grace(store);
    spawn_store_finish_cron(store);
    spawn_store_finish_control(store);
    spawn_store_finish_share(store);
    spawn_store_finish_attempts(store);
    spawn_store_finish_order(store);
    spawn_store_finish_look(store);
    spawn_store_finish_dead(store);
    spawn_store_finish_list(store);
    (void)sqlite3_close(store->db); /* checkpoints */
    store->db = NULL;
}
