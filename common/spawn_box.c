/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes of spawn_box.h. Runs in spawner and broker. Must make no call on what a
 * box holds. A box is the receiving end of a socket pair whose other end is
 * closed, with one packet in it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_box.h"
#include "common/spawn_packet.h"

typedef union {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * SPAWN_FDS_MAX)];
} control;

/* The packet needs a byte: an empty one reads like the end. */
static char something;
static struct iovec parts[] = {{&something, sizeof(something)}};

static void frame(struct msghdr *m, control *c)
{
    memset(m, 0, sizeof(*m));
    memset(c, 0, sizeof(*c));
    m->msg_iov = parts;
    m->msg_iovlen = sizeof(parts) / sizeof(parts[0]);
    m->msg_control = c->room;
}

int spawn_box_make(const int *fds, unsigned count)
{
    struct cmsghdr *head;
    struct msghdr m;
    control c;
    int ends[2], rv = 0;

    if (count == 0 || count > SPAWN_FDS_MAX)
        return -EINVAL;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    frame(&m, &c);
    m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    head = CMSG_FIRSTHDR(&m);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    if (sendmsg(ends[1], &m, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        rv = -errno;
    (void)close(ends[1]);
    if (rv == 0)
        return ends[0];
    (void)close(ends[0]);
    return rv;
}

int spawn_box_look(int box, int *fds, unsigned room)
{
    struct cmsghdr *head;
    struct msghdr m;
    unsigned count;
    control c;
    ssize_t n;

    frame(&m, &c);
    m.msg_controllen = sizeof(c.room);
    n = recvmsg(box, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n != 1)
        return n < 0 ? -errno : -EBADMSG;
    head = CMSG_FIRSTHDR(&m);
    if (!head || head->cmsg_level != SOL_SOCKET
        || head->cmsg_type != SCM_RIGHTS)
        return -EBADMSG;
    count = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (count > room || (m.msg_flags & MSG_CTRUNC)) {
        int all[SPAWN_FDS_MAX];

        memcpy(all, CMSG_DATA(head), count * sizeof(int));
        spawn_close_passed(all, count);
        return -EMFILE;
    }
    memcpy(fds, CMSG_DATA(head), count * sizeof(int));
    return (int)count;
}
