/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's file was removed under us: SQLite goes on with the file that has
 * no name any more, which ends with this broker. It is copied to where it was.
 * Runs in the broker, between two turns, when no transaction is open.
 *
 * Never over what another pair has put there: the copy gets its name only when
 * that is free.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/conf.h"
#include "broker/store/place.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define COMPLAIN_AGAIN 60000 /* ms */
#define TAKEN                                                                  \
    "another jobs.db is there, most likely of another httpd; stop that one, "  \
    "or move its file away"

static int64_t complained_at;

static bool cannot(const char *what)
{
    int64_t now = spawn_mono_ms();

    if (complained_at && now - complained_at < COMPLAIN_AGAIN)
        return false;
    complained_at = now;
    spawn_log(
        SPAWN_LOG_ERR,
        MSNO(0642) "the store that was removed from %s cannot be put back: "
                   "%s; its jobs are kept as long as this broker lives",
        spawn_conf.store_path, what);
    return false;
}

/* Not while its directory has to be made by somebody else. */
static bool directory_there(void)
{
    if (mkdir(spawn_conf.store_path, 0700) == 0 || errno == EEXIST)
        return true;
    /* above it is the runtime directory, which httpd makes */
    return errno == ENOENT || errno == EACCES ? false : cannot(strerror(errno));
}

static int copy_to(const char *path)
{
    sqlite3 *db = spawn_db;
    sqlite3_stmt *s;
    int rv;

    /* Nothing may be left in a log that lies beside the copy. */
    (void)sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    if (sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &s, NULL) != SQLITE_OK)
        return -1;
    (void)sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
    rv = sqlite3_step(s);
    (void)sqlite3_finalize(s);
    return rv == SQLITE_DONE ? 0 : -1;
}

bool spawn_store_restore(void)
{
    const unsigned no_replace = 1; /* RENAME_NOREPLACE */
    char copy[PATH_MAX], path[PATH_MAX];
    spawn_failure why;
    struct stat st;
    bool full;

    if (!spawn_db || !directory_there())
        return false;
    if (spawn_store_path(copy, "jobs.db.copy") < 0
        || spawn_store_path(path, "jobs.db") < 0)
        return cannot("the path is too long");
    if (lstat(path, &st) == 0)
        return cannot(TAKEN);
    (void)unlink(copy);
    if (copy_to(copy) < 0) {
        char text[200];

        (void)snprintf(text, sizeof(text), "%s", spawn_store_error());
        (void)unlink(copy);
        return cannot(text);
    }
    if (syscall(SYS_renameat2, AT_FDCWD, copy, AT_FDCWD, path, no_replace)
        < 0) {
        int error = errno;

        (void)unlink(copy);
        return cannot(error == EEXIST ? TAKEN : strerror(error));
    }
    spawn_store_close();
    if (spawn_store_open(spawn_conf.store_path, &why, &full)) {
        /* The next broker opens it, with all that the copy has. */
        spawn_log(SPAWN_LOG_CRIT, MSNO(0643) "%s", why.text);
        _exit(0);
    }
    spawn_store_note_place();
    complained_at = 0;
    return true;
}
