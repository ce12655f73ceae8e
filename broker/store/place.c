/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file the store was opened from, and whether it is still in its place.
 * Runs in the broker. Must open no file: a close would give up SQLite's locks.
 */
#include "broker/store/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/store/parts.h"

int spawn_store_path(const spawn_store *store, char *room, const char *name)
{
    int n = snprintf(room, PATH_MAX, "%s/%s", store->directory, name);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void spawn_store_note_place(spawn_store *store)
{
    spawn_part_place *p = &store->place;
    char path[PATH_MAX];

    p->known = spawn_store_path(store, path, "jobs.db") == 0
               && lstat(path, &p->opened) == 0;
}

bool spawn_store_there(const spawn_store *store)
{
    const spawn_part_place *p = &store->place;
    char path[PATH_MAX];
    struct stat st;

    if (!p->known || spawn_store_path(store, path, "jobs.db") < 0)
        return true;
    if (lstat(path, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == p->opened.st_dev && st.st_ino == p->opened.st_ino;
}
