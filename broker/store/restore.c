/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's file was removed under us: SQLite goes on with the file that has
 * no name any more, which ends with this broker. It is copied back to its
 * place. Runs in the broker, between two turns, when no transaction is open.
 *
 * Must never replace a file of another pair: the copy gets its name only when
 * the name is free.
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
#include "broker/store/place.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define COMPLAIN_AGAIN 60000 /* ms */
#define TAKEN                                                                  \
    "another jobs.db is there, most likely of another httpd; stop that one, "  \
    "or move its file away"

static bool cannot(spawn_store *store, const char *what)
{
    int64_t now = spawn_mono_ms();

    if (store->cannot_restore_at
        && now - store->cannot_restore_at < COMPLAIN_AGAIN)
        return false;
    store->cannot_restore_at = now;
    spawn_log(
        SPAWN_LOG_ERR,
        MSNO(0642) "the store that was removed from %s cannot be put back: "
                   "%s; its jobs are kept as long as this broker lives",
        store->directory, what);
    return false;
}

/* False while somebody else has to make its directory. */
static bool directory_there(spawn_store *store)
{
    if (mkdir(store->directory, 0700) == 0 || errno == EEXIST)
        return true;
    /* above it is the runtime directory, which httpd makes */
    return errno == ENOENT || errno == EACCES ? false
                                              : cannot(store, strerror(errno));
}

static int copy_to(spawn_store *store, const char *path)
{
    sqlite3 *db = store->db;
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

bool spawn_store_restore(spawn_store *store)
{
    const unsigned no_replace = 1; /* RENAME_NOREPLACE */
    char copy[PATH_MAX], path[PATH_MAX];
    spawn_failure why;
    struct stat st;
    bool full;

    if (!store->db || !directory_there(store))
        return false;
    if (spawn_store_path(store, copy, "jobs.db.copy") < 0
        || spawn_store_path(store, path, "jobs.db") < 0)
        return cannot(store, "the path is too long");
    if (lstat(path, &st) == 0)
        return cannot(store, TAKEN);
    (void)unlink(copy);
    if (copy_to(store, copy) < 0) {
        char text[200];

        (void)snprintf(text, sizeof(text), "%s", spawn_store_error(store));
        (void)unlink(copy);
        return cannot(store, text);
    }
    if (syscall(SYS_renameat2, AT_FDCWD, copy, AT_FDCWD, path, no_replace)
        < 0) {
        int error = errno;

        (void)unlink(copy);
        return cannot(store, error == EEXIST ? TAKEN : strerror(error));
    }
    spawn_store_close(store);
    if (spawn_store_open(store, NULL, &why, &full)) {
        /* the next broker opens it, with all that the copy has */
        spawn_log(SPAWN_LOG_CRIT, MSNO(0643) "%s", why.text);
        _exit(0);
    }
    spawn_store_note_place(store);
    store->cannot_restore_at = 0;
    return true;
}
