/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is found to be damaged while it is open. Runs in the broker. It
 * cannot be set aside then: so a mark is left beside it, by which the broker
 * that opens it next reads all of its pages, however many there are, and the
 * broker makes way for that one. Must not do so again and again for damage that
 * a whole look at the store does not find.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"
#include "broker/store/store.h"

#define MARK        "jobs.db.check"
#define CHECK_AGAIN 600000 /* ms after a look that has found nothing */

/* SQLite tells a process of damage, not the one that has the database. */
static bool met;

static void heard(void *of, int code, const char *text)
{
    (void)of, (void)text;
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
        met = true;
}

void spawn_store_watch_damage(void)
{
    /* once it is in use this changes nothing */
    (void)sqlite3_config(SQLITE_CONFIG_LOG, heard, NULL);
}

void spawn_store_damage_over(void)
{
    met = false;
}

void spawn_store_say_damage(void)
{
    met = true;
}

bool spawn_store_marked(const spawn_store *store)
{
    char path[PATH_MAX];

    return spawn_store_path(store, path, MARK) == 0 && access(path, F_OK) == 0;
}

void spawn_store_unmark(spawn_store *store, bool good)
{
    char path[PATH_MAX];

    if (spawn_store_path(store, path, MARK) < 0 || unlink(path) < 0)
        return;
    if (!good)
        return;
    store->checked_at = spawn_mono_ms();
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0869) "the store %s was taken for damaged: all of it was "
                         "looked at, and it is good",
              store->path);
}

bool spawn_store_met_damage(spawn_store *store)
{
    char path[PATH_MAX];
    int fd;

    if (!met)
        return false;
    met = false; /* if this fails, until it is met again */
    if (store->checked_at && spawn_mono_ms() - store->checked_at < CHECK_AGAIN)
        return false;
    if (spawn_store_path(store, path, MARK) < 0)
        return false;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    (void)close(fd);
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0871) "the store %s is damaged: another broker takes over, "
                         "which looks at all of it, and sets it aside",
              store->path);
    return true;
}
