/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file the store was opened from, and whether it is still in its place.
 */
#include "broker/store/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/base/conf.h"

static struct stat opened;
static bool known;

int spawn_store_path(char *room, const char *name)
{
    int n = snprintf(room, PATH_MAX, "%s/%s", spawn_conf.store_path, name);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void spawn_store_note_place(void)
{
    char path[PATH_MAX];

    known = spawn_store_path(path, "jobs.db") == 0 && lstat(path, &opened) == 0;
}

bool spawn_store_there(void)
{
    char path[PATH_MAX];
    struct stat st;

    if (!known || spawn_store_path(path, "jobs.db") < 0)
        return true;
    if (lstat(path, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == opened.st_dev && st.st_ino == opened.st_ino;
}
