/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets of the simulated kernel (kernel.h), SEQPACKET and STREAM. Nobody
 * waits in a call, since there is nobody else who could go on meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "t/simulation/body.h"
#include "t/simulation/files.h"
#include "t/simulation/kernel.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define ROOM                                                                   \
    212992 /* bytes that a socket may have on its way: wmem_default            \
            */
#define HEAD         256   /* bytes with each piece: sk_buff */
#define SHARED       320   /* and behind its bytes: skb_shared_info */
#define LINEAR       16064 /* of the bytes of a packet, at most, in one piece */
#define PAGES        (17 * 4096)
#define CHUNK        (LINEAR + 32768) /* of a stream */
#define CHUNK_LINEAR 3776
#define PASSED_MAX   64

/* The names that --wrap gives. */
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socketpair(int domain, int type, int protocol, int *ret);
int __wrap_bind(int fd, const struct sockaddr *to, socklen_t length);
int __wrap_listen(int fd, int backlog);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t length);
int __wrap_accept4(int fd, struct sockaddr *ret, socklen_t *length, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_setsockopt(int fd, int level, int what, const void *value,
                      socklen_t length);
int __real_getsockopt(int fd, int level, int what, void *ret,
                      socklen_t *length);
int __wrap_getsockopt(int fd, int level, int what, void *ret,
                      socklen_t *length);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t room, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
int __real_socketpair(int domain, int type, int protocol, int *ret);

typedef struct packet packet;
struct packet {
    packet *next;
    size_t length, at; /* at: of a stream's piece, that were read */
    size_t charge;
    thing **passed;
    unsigned passed_count;
    uint8_t data[];
};

typedef enum {
    UNUSED,
    LISTENS,
    CONNECTED
} state;

typedef struct sock sock;
struct sock {
    thing base;
    sock *next; /* of those that listen, or that wait to be accepted */
    int type;
    state state;
    sock *peer; /* NULL: there is none, or it was closed */
    bool no_more_in, no_more_out;
    bool passes_rights, passes_sender;
    int error;
    packet *first, *last; /* that came */
    size_t on_way;        /* that it has sent, and the peer has not read */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    sock *pending; /* the first of them */
    unsigned pending_count, backlog;
};

static const thing_kind of_socket;
static sock *listeners;

static sock *sock_of(int fd)
{
    return (sock *)(void *)thing_like(fd, &of_socket);
}

static int no_socket(int fd)
{
    return thing_error(thing_of(fd) ? ENOTSOCK : EBADF);
}

static void *take(size_t size)
{
    void *p = body_world_malloc(size);

    if (!p)
        abort();
    return p;
}

static sock *make(int type)
{
    sock *s = take(sizeof(*s));

    memset(s, 0, sizeof(*s));
    s->base = (thing){.kind = &of_socket, .uses = 1};
    s->type = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    s->passes_rights = true;
    return s;
}

static void join(sock *a, sock *b)
{
    a->peer = b;
    b->peer = a;
    a->state = b->state = CONNECTED;
}

/* ---- pieces on their way ---- */

/* The kernel's charge for so many bytes, some of them in pages. */
static size_t charge_of(size_t length, size_t in_pages)
{
    size_t need = length - in_pages + SHARED, room = 704;

    need = (need + 63) & ~(size_t)63;
    if (need > room) {
        for (room = 1024; room < need;)
            room *= 2;
    }
    return HEAD + room + in_pages;
}

static size_t whole_pages(size_t length)
{
    return (length + 4095) & ~(size_t)4095;
}

static size_t charge_of_packet(size_t length)
{
    size_t more = length > LINEAR ? length - LINEAR : 0;

    return charge_of(length, whole_pages(more < PAGES ? more : PAGES));
}

static size_t charge_of_chunk(size_t length)
{
    size_t more =
        length > CHUNK_LINEAR ? whole_pages(length - CHUNK_LINEAR) : 0;

    return charge_of(length, more < length ? more : length);
}

static packet *piece(const void *data, size_t length, size_t charge)
{
    packet *p = take(sizeof(*p) + length);

    *p = (packet){.length = length, .charge = charge};
    if (length)
        memcpy(p->data, data, length);
    return p;
}

static void put(sock *from, packet *p)
{
    sock *to = from->peer;

    from->on_way += p->charge;
    if (to->last)
        to->last->next = p;
    else
        to->first = p;
    to->last = p;
}

static void drop_first(sock *s)
{
    packet *p = s->first;
    unsigned i;

    s->first = p->next;
    if (!s->first)
        s->last = NULL;
    if (s->peer)
        s->peer->on_way -= p->charge;
    for (i = 0; i < p->passed_count; i++)
        thing_leave(p->passed[i]);
    body_world_free(p->passed);
    body_world_free(p);
}

/* ---- the end of one ---- */

/* reset: nobody has accepted it. */
static void leave_peer(sock *s, bool reset)
{
    sock *peer = s->peer;

    if (!peer)
        return;
    peer->no_more_in = peer->no_more_out = true;
    if (s->first || reset)
        peer->error = ECONNRESET;
    peer->peer = s->peer = NULL;
    peer->on_way = 0;
}

static void end(sock *s, bool reset)
{
    leave_peer(s, reset);
    while (s->first)
        drop_first(s);
    body_world_free(s);
}

static void listen_no_more(sock *s)
{
    sock **at = &listeners;

    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    while (s->pending) {
        sock *p = s->pending;

        s->pending = p->next;
        end(p, true);
    }
}

static void last_close(thing *t)
{
    sock *s = (sock *)(void *)t;

    if (s->state == LISTENS)
        listen_no_more(s);
    end(s, false);
}

/* ---- poll ---- */

static short ready(thing *t)
{
    const sock *s = (const sock *)(void *)t;
    short seen = s->error ? POLLERR : 0;

    if (s->no_more_in)
        seen |= POLLRDHUP | POLLIN;
    if ((s->no_more_in && s->no_more_out) || s->state == UNUSED)
        seen |= POLLHUP;
    if (s->first || s->pending)
        seen |= POLLIN;
    if (s->state != LISTENS && s->on_way * 4 <= ROOM)
        seen |= POLLOUT;
    return seen;
}

static const thing_kind of_socket = {
    .mode = S_IFSOCK | 0777, .ready = ready, .last_close = last_close};

/* ---- making ---- */

int __wrap_socket(int domain, int type, int protocol)
{
    (void)domain;
    (void)protocol;
    return thing_number(&make(type)->base);
}

int __wrap_socketpair(int domain, int type, int protocol, int *ret)
{
    sock *a = make(type), *b = make(type);

    (void)domain;
    (void)protocol;
    join(a, b);
    ret[0] = thing_number(&a->base);
    ret[1] = thing_number(&b->base);
    return 0;
}

int __wrap_bind(int fd, const struct sockaddr *to, socklen_t length)
{
    const struct sockaddr_un *a = (const void *)to;
    sock *s = sock_of(fd);

    (void)length;
    file_make_socket(a->sun_path);
    strcpy(s->path, a->sun_path);
    return 0;
}

int __wrap_listen(int fd, int backlog)
{
    sock *s = sock_of(fd);

    s->state = LISTENS;
    s->backlog = (unsigned)backlog;
    s->next = listeners;
    listeners = s;
    return 0;
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t length)
{
    const struct sockaddr_un *a = (const void *)to;
    sock *s = sock_of(fd), *l = listeners, *other, **at;

    (void)length;
    while (l && strcmp(l->path, a->sun_path) != 0)
        l = l->next;
    if (!l)
        return thing_error(ECONNREFUSED);
    if (l->pending_count > l->backlog)
        return thing_error(EAGAIN);
    other = make(l->type);
    other->passes_rights = l->passes_rights;
    join(s, other);
    for (at = &l->pending; *at;)
        at = &(*at)->next;
    *at = other;
    l->pending_count++;
    return 0;
}

int __wrap_accept4(int fd, struct sockaddr *ret, socklen_t *length, int flags)
{
    sock *l = sock_of(fd), *s = l ? l->pending : NULL;

    (void)ret;
    (void)length;
    (void)flags;
    if (!l)
        return no_socket(fd);
    if (!s)
        return thing_error(EAGAIN);
    l->pending = s->next;
    l->pending_count--;
    s->next = NULL;
    return thing_number(&s->base);
}

int __wrap_shutdown(int fd, int how)
{
    sock *s = sock_of(fd);
    bool in = how != SHUT_WR, out = how != SHUT_RD;

    if (!s)
        return no_socket(fd);
    s->no_more_in |= in;
    s->no_more_out |= out;
    if (s->peer) {
        s->peer->no_more_in |= out;
        s->peer->no_more_out |= in;
    }
    return 0;
}

/* ---- options ---- */

int __wrap_setsockopt(int fd, int level, int what, const void *value,
                      socklen_t length)
{
    sock *s = sock_of(fd);

    (void)level;
    (void)length;
    if (!s)
        return no_socket(fd);
    if (what == SO_PASSRIGHTS)
        s->passes_rights = *(const int *)value;
    else if (what == SO_PASSCRED)
        s->passes_sender = *(const int *)value;
    else
        thing_cannot("an option of sockets that it does not know");
    return 0;
}

/* The process at the other end is this one. */
int __wrap_getsockopt(int fd, int level, int what, void *ret, socklen_t *length)
{
    static int real[2] = {-1, -1};
    const struct ucred self = {getpid(), geteuid(), getegid()};

    if (!sock_of(fd))
        return __real_getsockopt(fd, level, what, ret, length);
    if (what == SO_PEERCRED) {
        memcpy(ret, &self, sizeof(self));
        return 0;
    }
    if (real[0] < 0) {
        (void)__real_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
                                real);
        real[0] = body_world_fd(real[0]);
        real[1] = body_world_fd(real[1]);
    }
    return __real_getsockopt(real[0], level, what, ret, length);
}

/* ---- out ---- */

static int take_error(sock *s)
{
    int error = s->error;

    s->error = 0;
    return error;
}

static int send_packet(sock *s, const void *data, size_t length, thing **passed,
                       unsigned passed_count)
{
    int error = take_error(s);
    packet *p;

    if (error)
        return error;
    if (s->state != CONNECTED)
        return ENOTCONN;
    if (length > ROOM - 32)
        return EMSGSIZE;
    if (s->no_more_out)
        return EPIPE;
    if (s->on_way >= ROOM)
        return EAGAIN;
    if (passed_count && !s->peer->passes_rights)
        return EPERM;
    p = piece(data, length, charge_of_packet(length));
    if (passed_count) {
        p->passed = take(passed_count * sizeof(thing *));
        memcpy(p->passed, passed, passed_count * sizeof(thing *));
        p->passed_count = passed_count;
    }
    put(s, p);
    return 0;
}

/* Error, or 0: some of it is sent. */
static int send_stream(sock *s, const uint8_t *data, size_t length,
                       size_t *ret_sent)
{
    size_t sent = 0;
    int error = 0;

    if (s->state != CONNECTED)
        return ENOTCONN;
    while (sent < length && !error) {
        size_t n = length - sent < CHUNK ? length - sent : CHUNK;

        if (s->no_more_out)
            error = EPIPE;
        else if (s->on_way >= ROOM)
            error = EAGAIN;
        else
            put(s, piece(data + sent, n, charge_of_chunk(n)));
        sent += error ? 0 : n;
    }
    *ret_sent = sent;
    return sent ? 0 : error;
}

static ssize_t send_it(sock *s, const void *data, size_t length, thing **passed,
                       unsigned passed_count)
{
    size_t sent = length;
    int error = s->type == SOCK_STREAM
                    ? send_stream(s, data, length, &sent)
                    : send_packet(s, data, length, passed, passed_count);

    return error ? thing_error(error) : (ssize_t)sent;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
    sock *s = sock_of(fd);

    (void)flags;
    return s ? send_it(s, data, length, NULL, 0) : no_socket(fd);
}

/* Their number. */
static unsigned find_passed(const struct msghdr *m, thing **ret)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    unsigned i, count;
    int fd;

    if (!c)
        return 0;
    count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (c->cmsg_type != SCM_RIGHTS || count > PASSED_MAX)
        thing_cannot("something else than descriptors is passed");
    for (i = 0; i < count; i++) {
        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        ret[i] = thing_of(fd);
        if (!ret[i])
            thing_cannot("a descriptor of the real kernel is passed");
    }
    return count;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    thing *passed[PASSED_MAX];
    sock *s = sock_of(fd);
    unsigned count, i;
    ssize_t sent;

    (void)flags;
    if (!s)
        return no_socket(fd);
    if (m->msg_iovlen != 1)
        thing_cannot("a message is in pieces");
    count = find_passed(m, passed);
    for (i = 0; i < count; i++)
        thing_use(passed[i]);
    sent = send_it(s, m->msg_iov->iov_base, m->msg_iov->iov_len, passed, count);
    for (i = 0; i < count && sent < 0; i++)
        thing_leave(passed[i]);
    return sent;
}

/* ---- in ---- */

/* Error, 0: there is something, or -1: the end. */
static int something(sock *s)
{
    int error;

    if (s->type == SOCK_STREAM && s->first)
        return 0;
    if (s->type != SOCK_STREAM && s->state != CONNECTED)
        return ENOTCONN;
    error = take_error(s);
    if (error || s->first)
        return error;
    return s->no_more_in ? -1 : EAGAIN;
}

static ssize_t receive_stream(sock *s, uint8_t *data, size_t room, bool peek)
{
    size_t got = 0;

    if (peek)
        thing_cannot("nobody peeks into a stream");
    while (s->first && got < room) {
        packet *p = s->first;
        size_t n = p->length - p->at;

        if (n > room - got)
            n = room - got;
        memcpy(data + got, p->data + p->at, n);
        got += n;
        p->at += n;
        if (p->at == p->length)
            drop_first(s);
    }
    return (ssize_t)got;
}

static void put_control(struct msghdr *m, size_t *at, int type,
                        const void *data, size_t length)
{
    struct cmsghdr *c = (void *)((uint8_t *)m->msg_control + *at);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(c), data, length);
    *at += CMSG_SPACE(length);
}

/* peek: a descriptor that comes is one more, and stays where it is, too. */
static void give_passed(struct msghdr *m, packet *p, size_t *at, bool peek)
{
    int fds[PASSED_MAX];
    unsigned i;

    if (*at + CMSG_SPACE(p->passed_count * sizeof(int)) > m->msg_controllen)
        thing_cannot("no room for the descriptors of a message");
    for (i = 0; i < p->passed_count; i++) {
        if (peek)
            thing_use(p->passed[i]);
        fds[i] = thing_number(p->passed[i]);
    }
    put_control(m, at, SCM_RIGHTS, fds, p->passed_count * sizeof(int));
    if (!peek)
        p->passed_count = 0;
}

static ssize_t receive_packet(sock *s, struct msghdr *m, bool peek)
{
    const struct ucred self = {getpid(), geteuid(), getegid()};
    packet *p = s->first;
    size_t n = p->length, at = 0;

    m->msg_flags = 0;
    if (n > m->msg_iov->iov_len) {
        n = m->msg_iov->iov_len;
        m->msg_flags |= MSG_TRUNC;
    }
    memcpy(m->msg_iov->iov_base, p->data, n);
    if (m->msg_control && s->passes_sender)
        put_control(m, &at, SCM_CREDENTIALS, &self, sizeof(self));
    if (m->msg_control && p->passed_count)
        give_passed(m, p, &at, peek);
    m->msg_controllen = at;
    if (!peek)
        drop_first(s);
    return (ssize_t)n;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
    sock *s = sock_of(fd);
    int found;

    if (!s)
        return no_socket(fd);
    if (m->msg_iovlen != 1)
        thing_cannot("a message is in pieces");
    found = something(s);
    if (found == EAGAIN && !(flags & MSG_DONTWAIT))
        thing_cannot("somebody waits for a message");
    if (found > 0)
        return thing_error(found);
    if (found < 0) {
        m->msg_controllen = 0;
        m->msg_flags = 0;
        return 0;
    }
    if (s->type == SOCK_STREAM)
        return receive_stream(s, m->msg_iov->iov_base, m->msg_iov->iov_len,
                              flags & MSG_PEEK);
    return receive_packet(s, m, flags & MSG_PEEK);
}

ssize_t __wrap_recv(int fd, void *data, size_t room, int flags)
{
    struct iovec part = {data, room};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    return __wrap_recvmsg(fd, &m, flags);
}
