/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a standalone pair: whether its path still leads to it, and
 * to the socket that the pair has there; the locks on files in it, and the log.
 * Runs in spawn-standalone. Must not take a directory that cannot be looked at
 * for one that has gone.
 */
#include "standalone/standalone.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/spawn_os.h"

#define LOOK_MS  50
#define LOG_MOST (10 << 20)

int standalone_lock(int dir, const char *name, int64_t wait_ms)
{
    int64_t deadline = spawn_mono_ms() + wait_ms;
    int fd =
        openat(dir, name,
               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int rv = fd < 0 ? -errno : 0;

    while (rv == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || spawn_mono_ms() >= deadline)
            rv = -errno;
        else
            (void)poll(NULL, 0, LOOK_MS);
    }
    if (rv == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return rv;
}

int standalone_open_log(int dir)
{
    struct stat st;
    int fd;

    if (fstatat(dir, STANDALONE_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISREG(st.st_mode) && st.st_size > LOG_MOST)
        (void)renameat(dir, STANDALONE_LOG, dir, STANDALONE_OLD_LOG);
    fd = openat(dir, STANDALONE_LOG,
                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

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
