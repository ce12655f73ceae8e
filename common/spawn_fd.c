/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept beside other people's code. Runs in every process
 * that keeps one. Must close and return no number that is another file's by
 * now. Sockets, files and directories are told apart by device and inode; a
 * socket's inode is its own for as long as it lives.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_fd.h"

void spawn_fd_keep(spawn_kept_fd *kept, int fd)
{
    int error = errno;
    struct stat st;

    kept->fd = -1;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        kept->fd = fd;
        kept->dev = st.st_dev;
        kept->ino = st.st_ino;
    }
    errno = error;
}

int spawn_fd_kept(const spawn_kept_fd *kept)
{
    int error = errno;
    int fd = kept->fd;
    struct stat st;

    if (fd >= 0
        && (fstat(fd, &st) < 0 || st.st_dev != kept->dev
            || st.st_ino != kept->ino))
        fd = -1;
    errno = error;
    return fd;
}

void spawn_fd_close(spawn_kept_fd *kept)
{
    int error = errno;
    int fd = spawn_fd_kept(kept);

    if (fd >= 0)
        (void)close(fd);
    kept->fd = -1;
    errno = error;
}
