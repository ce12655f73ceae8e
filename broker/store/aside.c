/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is damaged is set aside: its files get other names, and an empty
 * one takes their place. To wait until somebody does that by hand would keep
 * httpd from starting, for the sake of a history.
 *
 * Must delete nothing: somebody may still read some of it. Must not fill the
 * disk either when it damages one store after the other, nor take a file for
 * damaged that cannot be read now.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"

#define ASIDE     SPAWN_STORE_ASIDE
#define ASIDE_MAX 5
#define TIME      "%Y%m%d-%H%M%S"
#define TIME_IS   "dddddddd-dddddd"

bool spawn_store_is_aside(const char *name)
{
    const char *is = TIME_IS;

    if (strncmp(name, ASIDE, sizeof(ASIDE) - 1) != 0)
        return false;
    for (name += sizeof(ASIDE) - 1; *is; is++, name++)
        if (*is == 'd' ? *name < '0' || *name > '9' : *name != *is)
            return false;
    return *name == '\0';
}

static bool too_many(const spawn_store *store)
{
    DIR *d = opendir(store->directory);
    const struct dirent *e;
    unsigned count = 0;

    if (!d)
        return true;
    while ((e = readdir(d)) != NULL)
        count += spawn_store_is_aside(e->d_name);
    (void)closedir(d);
    return count >= ASIDE_MAX;
}

/* 0, or what keeps it from being read. The database is closed: else this would
 * give up its locks. */
static int unreadable(const char *path)
{
    char bytes[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t at = 0;
    ssize_t n;
    int error;

    if (fd < 0)
        return errno;
    while ((n = pread(fd, bytes, sizeof(bytes), at)) > 0)
        at += n;
    error = n < 0 ? errno : 0;
    (void)close(fd);
    return error;
}

static bool may_be_set_aside(const spawn_store *store, spawn_failure *why)
{
    int error = unreadable(store->path);

    if (error) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, error,
                          "the store %.160s cannot be read: %.80s", store->path,
                          strerror(error));
        return false;
    }
    if (too_many(store)) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store %.160s is damaged again, and %d were set "
                          "aside before; look at the disk, and remove or move "
                          "away " ASIDE "*",
                          store->path, ASIDE_MAX);
        return false;
    }
    return true;
}

/* Give a file of the store this suffix. to: PATH_MAX bytes, its new name. */
static bool move(const spawn_store *store, const char *name, const char *suffix,
                 char *to)
{
    char from[PATH_MAX];
    int n;

    if (spawn_store_path(store, from, name) < 0)
        return false;
    n = snprintf(to, PATH_MAX, "%.3900s.%s", from, suffix);
    if (n < 0 || n >= PATH_MAX)
        return false;
    if (access(to, F_OK) == 0) /* the next try has another name */
        return false;
    return rename(from, to) == 0 || errno == ENOENT;
}

bool spawn_store_set_aside(spawn_store *store, spawn_failure *why)
{
    /* The database goes first: were we killed behind its log, what is left
     * might count as right. SQLite takes no log for that of an empty one. Notes
     * are of the jobs in the database. */
    static const char *const names[] = {"jobs.db", "jobs.db-wal", "jobs.db-shm",
                                        "jobs.db-journal", "launches"};
    char suffix[40], to[PATH_MAX], database[PATH_MAX];
    time_t now = time(NULL);
    struct tm utc;
    size_t i;

    if (!may_be_set_aside(store, why) || !gmtime_r(&now, &utc))
        return false;
    (void)strftime(suffix, sizeof(suffix), "damaged-" TIME, &utc);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!move(store, names[i], suffix, i == 0 ? database : to))
            return false;
    }
    spawn_store_unmark(store, false);
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0866) "the store %s is damaged: it was set aside as %s, and "
                         "an empty one takes its place; the jobs that waited "
                         "in it do not run, and its history is not shown",
              store->path, database);
    return true;
}
