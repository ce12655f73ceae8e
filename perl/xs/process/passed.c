/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes with handles over a stream socket. Runs in callers, and in processes
 * that are set up.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "perl/xs/process/passed.h"

typedef union {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * SPAWN_PASSED_MOST)];
} control;

long spawn_passed_send(int sock, const void *bytes, size_t length,
                       const int *fds, unsigned count)
{
    struct iovec iov = {(void *)bytes, length};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *c;
    control room;
    ssize_t sent;

    if (count) {
        m.msg_control = room.room;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    sent = sendmsg(sock, &m, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

long spawn_passed_receive(int sock, void *bytes, size_t room, int *fds,
                          unsigned *ret_count)
{
    struct iovec iov = {bytes, room};
    control passed;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = passed.room,
                       .msg_controllen = sizeof(passed.room)};
    ssize_t got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    unsigned count = 0, i;
    struct cmsghdr *c;

    if (got < 0)
        return -errno;
    for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), sizeof(int) * count);
    }
    if (m.msg_flags & MSG_CTRUNC) {
        for (i = 0; i < count; i++)
            (void)close(fds[i]);
        return -EMFILE;
    }
    *ret_count = count;
    return got;
}
