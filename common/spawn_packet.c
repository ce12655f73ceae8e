/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as packets. Runs in every process, on hostile bytes. Must make no
 * call on a descriptor that came, but the question whether it is a sealed
 * memfd.
 *
 * An empty SEQPACKET packet reads as end of file; since each of ours has a
 * header, the sender of an empty one counts as gone.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/spawn_os.h"
#include "common/spawn_packet.h"

void spawn_close_fds(int *fds, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
        fds[i] = -1;
    }
}

static void plainly(int fd)
{
    (void)close(fd);
}

static void (*give)(int fd) = plainly;

void spawn_packets_close_by(void (*how)(int fd))
{
    give = how;
}

void spawn_close_passed(int *fds, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (fds[i] >= 0)
            give(fds[i]);
        fds[i] = -1;
    }
}

void spawn_close_quick(int *fds, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (fds[i] >= 0 && spawn_os_closes_quickly(fds[i]))
            spawn_close_fds(&fds[i], 1);
    }
    spawn_close_passed(fds, count);
}

int spawn_bytes_memfd(const char *name, const void *data, size_t length)
{
    const uint8_t *p = data;
    int fd = spawn_os_memfd(name);
    int rv;

    if (fd < 0)
        return fd;
    while (length > 0) {
        ssize_t n = write(fd, p, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rv = n < 0 ? -errno : -EIO;
            goto fail;
        }
        p += n;
        length -= (size_t)n;
    }
    (void)lseek(fd, 0, SEEK_SET);
    rv = spawn_os_seal(fd);
    if (rv < 0)
        goto fail;
    return fd;
fail:
    (void)close(fd);
    return rv;
}

static int send_parts(int sock, const void *data, size_t length, const int *fds,
                      unsigned count)
{
    spawn_packet_control control;
    struct iovec parts[] = {{(void *)(uintptr_t)data, length}};
    struct msghdr msg = {.msg_iov = parts,
                         .msg_iovlen = sizeof(parts) / sizeof(parts[0])};
    ssize_t n;

    if (count > 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    do {
        n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == length ? 0 : -EIO;
}

int spawn_packet_send(int sock, const void *message, size_t length,
                      const int *fds, unsigned count)
{
    uint8_t head[SPAWN_WIRE_HEADER];
    int all[SPAWN_FDS_MAX + 1];
    int body, rv;

    if (count > SPAWN_FDS_MAX)
        return -EMSGSIZE;
    if (!spawn_packet_is_big(length))
        return send_parts(sock, message, length, fds, count);

    body = spawn_bytes_memfd("spawn-message",
                             (const uint8_t *)message + SPAWN_WIRE_HEADER,
                             length - SPAWN_WIRE_HEADER);
    if (body < 0)
        return body;
    memcpy(head, message, sizeof(head));
    head[3] |= SPAWN_WIRE_BODY_IN_FD;
    if (count)
        memcpy(all, fds, sizeof(int) * count);
    all[count] = body;
    rv = send_parts(sock, head, sizeof(head), all, count + 1);
    (void)close(body);
    return rv;
}

/* Own every descriptor that came. There is room for as many as the kernel
 * passes at once: when some are missing, it had no number for them here. */
static int take_fds(struct msghdr *msg, spawn_packet *p)
{
    int rv = msg->msg_flags & MSG_TRUNC    ? -EMSGSIZE
             : msg->msg_flags & MSG_CTRUNC ? -EMFILE
                                           : 0;
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        unsigned n, i;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (p->fds_count <= SPAWN_FDS_MAX) {
                p->fds[p->fds_count++] = fd;
            }
            else {
                give(fd);
                rv = -EMSGSIZE;
            }
        }
    }
    return rv;
}

/* Header and body in one piece: map the body's memfd behind a page that holds
 * the header at its end. First ask whether the descriptor is a sealed memfd,
 * which blocks on no kind of file; only then ask anything else of it. */
static int map_body(spawn_packet *p)
{
    spawn_wire_header head;
    struct stat st;
    uint8_t *map;
    long page;
    int body, rv;

    rv = spawn_wire_read_header(p->data, p->length, &head);
    if (rv == -EBADMSG)
        return rv;
    if (!(head.flags & SPAWN_WIRE_BODY_IN_FD))
        return 0;
    if (p->length != SPAWN_WIRE_HEADER || p->fds_count == 0)
        return -EBADMSG;
    body = p->fds[p->fds_count - 1];
    if (head.body == 0 || head.body > SPAWN_ANSWER_MAX || !spawn_os_sealed(body)
        || fstat(body, &st) < 0 || st.st_size != (off_t)head.body)
        return -EBADMSG;
    page = sysconf(_SC_PAGESIZE);
    map = mmap(NULL, (size_t)page + head.body, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    p->map = map;
    p->map_length = (size_t)page + head.body;
    if (mmap(map + page, head.body, PROT_READ, MAP_PRIVATE | MAP_FIXED, body, 0)
        == MAP_FAILED)
        return -errno;
    memcpy(map + page - SPAWN_WIRE_HEADER, p->data, SPAWN_WIRE_HEADER);
    p->data = map + page - SPAWN_WIRE_HEADER;
    p->length = SPAWN_WIRE_HEADER + (size_t)head.body;
    p->fds_count--;
    (void)close(body);
    return 0;
}

/* The kernel puts it first. */
bool spawn_packet_sender(const spawn_packet_control *control, spawn_sender *ret)
{
    const struct cmsghdr *c = &control->align;
    struct ucred from;

    if (c->cmsg_len != CMSG_LEN(sizeof(from)) || c->cmsg_level != SOL_SOCKET
        || c->cmsg_type != SCM_CREDENTIALS)
        return false;
    memcpy(&from, CMSG_DATA(c), sizeof(from));
    ret->pid = from.pid;
    ret->uid = from.uid;
    return true;
}

static void note_sender(const spawn_packet *p, spawn_packet *ret)
{
    ret->has_sender = p->has_sender;
    ret->sender = p->sender;
}

/* As spawn_packet_receive_with, without looking again. how: MSG_DONTWAIT, or 0
 * to wait; a signal ends the wait. */
static int receive_once(int sock, void *buffer, size_t room, int how,
                        spawn_packet_control *control, spawn_packet *ret)
{
    struct iovec parts[] = {{buffer, room}};
    struct msghdr msg = {.msg_iov = parts,
                         .msg_iovlen = sizeof(parts) / sizeof(parts[0]),
                         .msg_control = control->room,
                         .msg_controllen = sizeof(control->room)};
    spawn_packet p;
    ssize_t n;
    int rv;

    memset(&p, 0, sizeof(p));
    control->align.cmsg_len = 0;
    n = recvmsg(sock, &msg, how | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    p.has_sender = spawn_packet_sender(control, &p.sender);
    rv = take_fds(&msg, &p);
    if (rv < 0)
        goto fail;
    if (n == 0) {
        rv = p.has_sender ? -EBADMSG : 0; /* the end has no sender */
        goto fail;
    }
    p.data = buffer;
    p.length = (size_t)n;
    rv = map_body(&p);
    if (rv < 0)
        goto fail;
    *ret = p;
    return 1;
fail:
    spawn_packet_close(&p);
    note_sender(&p, ret);
    return rv;
}

/* The kernel may report that the other end was closed before it gives what that
 * end had sent: it looks at the queue first and at the end afterwards, and
 * gives ECONNRESET (once) ahead of the queue. Nothing is queued after that
 * report, so looking again is enough. */
static int receive(int sock, void *buffer, size_t room, int how,
                   spawn_packet_control *control, spawn_packet *ret)
{
    bool unread = false;
    int rv, left;

    for (left = 2;; left--) {
        rv = receive_once(sock, buffer, room, how, control, ret);
        unread |= rv == -ECONNRESET;
        if ((rv != 0 && rv != -ECONNRESET) || left == 0)
            break;
    }
    if (rv >= 0)
        ret->unread = unread;
    return rv;
}

int spawn_packet_receive_with(int sock, void *buffer, size_t room,
                              spawn_packet_control *control, spawn_packet *ret)
{
    return receive(sock, buffer, room, MSG_DONTWAIT, control, ret);
}

int spawn_packet_receive(int sock, void *buffer, size_t room, spawn_packet *ret)
{
    spawn_packet_control control;

    return receive(sock, buffer, room, MSG_DONTWAIT, &control, ret);
}

int spawn_packet_wait(int sock, void *buffer, size_t room, spawn_packet *ret)
{
    spawn_packet_control control;

    return receive(sock, buffer, room, 0, &control, ret);
}

void spawn_packet_close(spawn_packet *p)
{
    if (!p)
        return;
    spawn_close_passed(p->fds, p->fds_count);
    p->fds_count = 0;
    if (p->map)
        (void)munmap(p->map, p->map_length);
    p->map = NULL;
}
