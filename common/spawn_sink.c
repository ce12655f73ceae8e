/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing lines of the log. Runs in spawner and broker. Must never block.
 *
 * A log's descriptor is shared with httpd, so it cannot be made non-blocking.
 * Room that poll has found is of no use: others write there, too, and may have
 * filled a pipe a moment later. So a pipe is opened a second time where that is
 * permitted (it belongs to the account that made it); elsewhere lines are
 * written by splice, which can be told not to wait. The system's log is a
 * datagram socket, so no helper process and no thread is needed. syslog(3) is
 * not used: it waits for a log that is full, and takes a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "common/spawn_sink.h"

#define SYSTEM_LOG "/dev/log"

void spawn_sink_read(const spawn_message *m, int fd, spawn_sink *ret)
{
    bool to_system = spawn_has(m, SPAWN_A_LOG_FACILITY);

    ret->fd = to_system ? -1 : fd;
    ret->facility = (int)(spawn_u64_or(m, SPAWN_A_LOG_FACILITY, 0) & 0x3f8);
    (void)snprintf(ret->tag, sizeof(ret->tag), "%s",
                   spawn_str_or(m, SPAWN_A_LOG_TAG, "httpd"));
}

static int connect_system(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SYSTEM_LOG};
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (sock >= 0 && connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0) {
        (void)close(sock);
        sock = -1;
    }
    return sock;
}

/* Send; try once more with a new socket, when the log was started anew. */
static int send_system(struct iovec *parts, int count)
{
    static int sock = -1;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    int tries, rv = 0;

    for (tries = 0; tries < 2; tries++) {
        if (sock < 0)
            sock = connect_system();
        if (sock < 0)
            return -EAGAIN; /* it may come */
        if (sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        rv = errno == ENOBUFS ? -EAGAIN : -errno;
        if (rv == -EAGAIN || rv == -EMSGSIZE)
            return rv;
        (void)close(sock);
        sock = -1;
    }
    return rv;
}

/* As the C library writes it: <priority>date tag[pid]: text */
static int write_system(const spawn_sink *sink, int level, const char *text,
                        size_t length)
{
    char head[SPAWN_LOG_TAG_MAX + 64], date[32];
    struct iovec parts[2] = {{head, 0}, {(char *)text, length}};
    time_t now = time(NULL);
    struct tm tm;

    (void)localtime_r(&now, &tm);
    (void)strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm);
    (void)snprintf(head, sizeof(head),
                   "<%d>%s %s[%d]: ", sink->facility | level, date, sink->tag,
                   (int)getpid());
    parts[0].iov_len = strlen(head);
    return send_system(parts, 2);
}

void spawn_sink_own(int fd)
{
    char path[32];
    struct stat st;
    int own;

    if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(fd)))
        return;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    /* one of another account, or that nobody reads, stays as it is */
    (void)dup3(own, fd, O_CLOEXEC);
    (void)close(own);
}

static ssize_t checked(ssize_t n)
{
    return n < 0 ? -errno : n;
}

/* By way of a pipe of our own, in which a line is one piece, so that it goes as
 * a whole or not at all. A pipe for each line, since a child that was just
 * forked may write, too. */
static ssize_t splice_into(int fd, const char *line, size_t length)
{
    int ends[2];
    ssize_t n;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -EAGAIN;
    n = write(ends[1], line, length);
    if (n == (ssize_t)length)
        n = checked(splice(ends[0], NULL, fd, NULL, length, SPLICE_F_NONBLOCK));
    else
        n = -EAGAIN;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return n;
}

/* A file does not wait; for the rest poll is the best that there is. */
static ssize_t write_when_ready(int fd, const char *line, size_t length)
{
    struct pollfd p = {fd, POLLOUT, 0};
    int n = poll(&p, 1, 0);

    return n < 0 ? -errno : n == 0 ? -EAGAIN : checked(write(fd, line, length));
}

static ssize_t write_plain(int fd, const char *line, size_t length)
{
    int flags = fcntl(fd, F_GETFL);
    ssize_t n = -ENOSYS;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISSOCK(st.st_mode))
        return checked(send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (flags >= 0 && flags & O_NONBLOCK)
        return checked(write(fd, line, length));
    if (S_ISFIFO(st.st_mode))
        n = splice_into(fd, line, length);
    return n == -ENOSYS || n == -EPERM ? write_when_ready(fd, line, length) : n;
}

int spawn_sink_write(const spawn_sink *sink, int level, const char *line,
                     size_t length, size_t from)
{
    ssize_t n;

    if (sink->fd < 0)
        return write_system(sink, level, line + from, length - from - 1);
    n = write_plain(sink->fd, line, length);
    return n == (ssize_t)length ? 0 : n < 0 ? (int)n : -EIO;
}
