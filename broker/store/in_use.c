/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mark of a store that is in use. Runs in the broker. Must sync nothing
 * while jobs run, unless their spawner and httpd have gone and nobody waits: a
 * disk that hangs would hold the broker.
 *
 * The mark is a file. It is on the disk before the first job starts, once in
 * the life of a pair, and goes when all else is there. So a store that has it
 * at a start after another boot may be some seconds behind; one that has none
 * is not.
 *
 * A broker without a spawner may end while the next pair's begins. So each
 * makes the mark anew, and takes away only its own.
 */
#include "broker/store/in_use.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "broker/store/parts.h"
#include "broker/store/place.h"

#define NAME     "in_use"
#define NEW_NAME "in_use.new"

/* 0 or a negative errno. */
static int sync_file(const spawn_store *store, const char *name, int flags)
{
    char path[PATH_MAX];
    int fd, rv;

    if (spawn_store_path(store, path, name))
        return -ENAMETOOLONG;
    fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    rv = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return rv;
}

void spawn_in_use_begin(spawn_store *store)
{
    spawn_part_in_use *in = &store->in_use;
    char path[PATH_MAX], new_path[PATH_MAX];
    struct stat st;
    int fd;

    if (in->begun || spawn_store_path(store, path, NAME)
        || spawn_store_path(store, new_path, NEW_NAME))
        return;
    in->begun = true;
    in->was = lstat(path, &st) == 0;
    if (in->was)
        in->file = st.st_ino; /* if there is no other one */
    (void)unlink(new_path);
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
              0600);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && rename(new_path, path) == 0)
        in->file = st.st_ino;
    (void)close(fd);
    if (!in->was)
        (void)sync_file(store, ".", O_RDONLY | O_DIRECTORY);
}

bool spawn_in_use_was(const spawn_store *store)
{
    return store->in_use.was;
}

/* The close has brought all to the database. */
void spawn_in_use_over(spawn_store *store)
{
    const spawn_part_in_use *in = &store->in_use;
    char path[PATH_MAX];
    struct stat st;
    int rv = sync_file(store, "jobs.db", O_RDONLY | O_NOFOLLOW);

    if (rv == 0)
        rv = sync_file(store, "launches", O_RDONLY | O_NOFOLLOW);
    if ((rv == 0 || rv == -ENOENT) && spawn_store_path(store, path, NAME) == 0
        && lstat(path, &st) == 0 && in->file && st.st_ino == in->file)
        (void)unlink(path);
    store->in_use.begun = false;
}
