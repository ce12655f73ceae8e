/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that are kept beside other people's code. Runs in every process
 * that keeps one. Must close and return no number that is another file's by
 * now. Sockets, files and directories are told apart by device and inode; a
 * socket's inode is its own for as long as it lives. A descriptor that has no
 * inode of its own shares one with all of its kind: an eventfd is told apart by
 * its number, others (epoll, timerfd, an old kernel's pidfd) only from files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_fd.h"

#define UNKNOWN UINT64_MAX /* no descriptor is left to look, say */

/* Its number and one more; 0: it is none. */
static uint64_t event_of(int fd, const struct stat *st)
{
    static const char word[] = "eventfd-id:";
    char path[40], text[512] = "";
    const char *at;
    ssize_t n;
    int info;

    if (st->st_mode & S_IFMT) /* only what is anonymous has no kind */
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = open(path, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return UNKNOWN;
    n = read(info, text, sizeof(text) - 1);
    (void)close(info);
    if (n < 0)
        return UNKNOWN;
    at = strstr(text, word);
    return at ? strtoull(at + strlen(word), NULL, 10) + 1 : 0;
}

static bool is_same(const spawn_kept_fd *kept, const struct stat *st)
{
    uint64_t event;

    if (st->st_dev != kept->dev || st->st_ino != kept->ino)
        return false;
    event = kept->event ? event_of(kept->fd, st) : 0;
    return event == UNKNOWN || event == kept->event;
}

void spawn_fd_keep(spawn_kept_fd *kept, int fd)
{
    int error = errno;
    struct stat st;

    kept->fd = -1;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        kept->fd = fd;
        kept->dev = st.st_dev;
        kept->ino = st.st_ino;
        kept->event = event_of(fd, &st);
        if (kept->event == UNKNOWN) /* it is not asked for then */
            kept->event = 0;
    }
    errno = error;
}

int spawn_fd_kept(const spawn_kept_fd *kept)
{
    int error = errno;
    int fd = kept->fd;
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !is_same(kept, &st)))
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
