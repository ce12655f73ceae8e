/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a standalone pair: whether its path still leads to it, and
 * to the socket that the pair has there. Runs in spawn-standalone. Must not
 * take a directory that cannot be looked at for one that has gone.
 */
#include "standalone/standalone.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static bool is_gone(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int standalone_note_socket(standalone *s)
{
    struct stat st;

    if (fstatat(s->dir, STANDALONE_SOCKET, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    s->socket_dev = st.st_dev;
    s->socket_ino = st.st_ino;
    return 0;
}

bool standalone_found(const standalone *s)
{
    struct stat ours, there;

    if (fstat(s->dir, &ours) < 0)
        return true;
    if (lstat(s->path, &there) < 0)
        return !is_gone(errno);
    if (!same_file(&ours, &there))
        return false;
    if (fstatat(s->dir, STANDALONE_SOCKET, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return !is_gone(errno);
    return there.st_dev == s->socket_dev && there.st_ino == s->socket_ino;
}
