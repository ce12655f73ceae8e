/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the broker: connect, HELLO, send, receive. Runs in callers,
 * in any thread. Every wait must have a deadline; signals interrupt nothing and
 * none is raised; no other descriptor is touched.
 */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/spawn_os.h"
#include "common/spawn_release.h"

#define BUFFER_SIZE (SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX)

/* Pauses between tries to connect while the listening queue is full. */
#define CONNECT_PAUSE_FIRST 1
#define CONNECT_PAUSE_MOST  20

/* A time for poll: whole milliseconds, -1 for no limit. */
static int time_left(int64_t deadline)
{
    int64_t left;

    if (deadline == SPAWN_NO_DEADLINE)
        return -1;
    left = deadline - spawn_mono_ms();
    if (left < 0)
        return 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

int spawn_poll(int fd, short events, int64_t deadline)
{
    struct pollfd p = {fd, events, 0};

    for (;;) {
        int left = time_left(deadline);
        int n = poll(&p, 1, left);

        if (n > 0)
            return 0;
        if (n == 0 && time_left(deadline) == 0)
            return -ETIMEDOUT;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

int spawn_poll_both(struct pollfd *p, int64_t deadline)
{
    int n = poll(p, 2, time_left(deadline));

    if (n > 0)
        return 0;
    return n < 0 || time_left(deadline) ? -EINTR : -ETIMEDOUT;
}

void spawn_pause(int ms, int64_t deadline)
{
    int64_t until = spawn_mono_ms() + ms;
    int left;

    if (until > deadline)
        until = deadline;
    while ((left = time_left(until)) > 0)
        (void)poll(NULL, 0, left);
}

void spawn_refused(const spawn_message *refused, spawn_failure *why)
{
    spawn_failure_set(
        why, (spawn_error)spawn_u64_or(refused, SPAWN_A_CODE, SPAWN_E_PROTOCOL),
        (spawn_step)spawn_u64_or(refused, SPAWN_A_STEP, SPAWN_STEP_NONE),
        (int)spawn_u64_or(refused, SPAWN_A_ERRNO, 0), "%s",
        spawn_str_or(refused, SPAWN_A_TEXT, ""));
}

/* ---- send and receive ---- */

int spawn_connection_send(spawn_connection *c, spawn_writer *w, const int *fds,
                          unsigned fds_count, int64_t deadline)
{
    int rv;

    spawn_connection_check(c);
    if (c->fd < 0)
        return -EPIPE;
    /* No request has the number 0: the broker uses it when it could not read
     * the request's. */
    c->count = c->count % SPAWN_SEQ_COUNTS + 1;
    c->seq = spawn_seq(c->count, spawn_os_cpu());
    spawn_writer_set_seq(w, c->seq);
    while ((rv = spawn_packet_send(c->fd, w->data, w->length, fds, fds_count))
           == -EAGAIN) {
        rv = spawn_poll(c->fd, POLLOUT, deadline);
        if (rv)
            return rv;
    }
    if (rv == -ECONNRESET || rv == -ENOTCONN || rv == -ECONNREFUSED)
        return -EPIPE;
    return rv;
}

/* For a packet, or for what is beside it. */
static int wait_beside(const spawn_connection *c, int64_t deadline)
{
    const spawn_beside *beside = c->beside;
    struct pollfd p[] = {{.fd = c->fd, .events = POLLIN}, beside->fd};
    int64_t until = deadline;
    int rv;

    for (;;) {
        if (beside->every_ms && deadline - spawn_mono_ms() > beside->every_ms)
            until = spawn_mono_ms() + beside->every_ms;
        do {
            rv = spawn_poll_both(p, until);
        } while (rv == -EINTR);
        if (rv == 0 && !p[0].revents)
            return -ECANCELED;
        if (rv == 0 || until == deadline)
            return rv;
        if (beside->ends(beside->arg))
            return -ECANCELED;
        until = deadline;
    }
}

/* The first wait is the receive itself, one system call in the place of three,
 * where that ends before the deadline. */
static int receive_packet(spawn_connection *c, int64_t deadline,
                          spawn_packet *ret)
{
    int rv;

    if (c->fd < 0)
        return -EPIPE; /* this is a child that a signal handler has forked */
    if (!c->beside && c->wait_ms && (unsigned)time_left(deadline) >= c->wait_ms)
        rv = spawn_packet_wait(c->fd, c->buffer, BUFFER_SIZE, ret);
    else
        rv = spawn_packet_receive(c->fd, c->buffer, BUFFER_SIZE, ret);
    while (rv == -EAGAIN) {
        rv = c->beside ? wait_beside(c, deadline)
                       : spawn_poll(c->fd, POLLIN, deadline);
        if (rv)
            return rv;
        rv = spawn_packet_receive(c->fd, c->buffer, BUFFER_SIZE, ret);
    }
    if (rv == 0 || rv == -ECONNRESET)
        return -EPIPE;
    return rv < 0 ? rv : 0;
}

/* The connection's buffer is for the next packet. ret is some kB: it is copied
 * nowhere on the way. */
int spawn_connection_answer(spawn_packet *p, bool look, spawn_answer *ret,
                            spawn_failure *why)
{
    int rv;

    ret->buffer = NULL;
    ret->packet = *p;
    if (!p->map && !look) {
        ret->buffer = malloc(p->length);
        if (!ret->buffer) {
            spawn_answer_free(ret);
            return -ENOMEM;
        }
        memcpy(ret->buffer, p->data, p->length);
        ret->packet.data = ret->buffer;
    }
    rv = spawn_message_parse(ret->packet.data, ret->packet.length,
                             SPAWN_FROM_BROKER, ret->packet.fds_count,
                             &ret->message, why);
    if (rv == 0)
        return 0;
    spawn_answer_free(ret);
    return rv == -EPROTONOSUPPORT ? rv : -EBADMSG;
}

void spawn_connection_unlend(spawn_connection *c)
{
    spawn_fd_close(&c->direct);
    memset(c->lent_queue, 0, sizeof(c->lent_queue));
}

/* A worker is lent to this connection: take its descriptor. */
static void lent(spawn_connection *c, spawn_answer *lease)
{
    const spawn_message *m = &lease->message;

    if (lease->packet.fds_count != 1)
        return;
    spawn_connection_unlend(c);
    spawn_fd_keep(&c->direct, lease->packet.fds[0]);
    lease->packet.fds_count = 0;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &c->worker);
    strncpy(c->lent_queue, spawn_attr_str(&m->attr[SPAWN_A_QUEUE]),
            sizeof(c->lent_queue) - 1);
}

/* ---- answers that are taken later ---- */

void spawn_awaited_close(spawn_awaited *a)
{
    while (a->fds_count > 0)
        spawn_fd_close(&a->fds[--a->fds_count]);
}

void spawn_connection_await(spawn_connection *c, spawn_awaited *a)
{
    a->connection = c;
    a->seq = c->seq;
    a->came = 0;
    a->next = NULL;
    if (!c->awaited)
        c->awaited_last = &c->awaited;
    *c->awaited_last = a;
    c->awaited_last = &a->next;
    c->awaited_count++;
    c->awaits = pthread_self();
}

void spawn_connection_forget(spawn_connection *c, spawn_awaited *a)
{
    spawn_awaited **at;

    for (at = &c->awaited; *at && *at != a; at = &(*at)->next)
        ;
    if (!*at)
        return;
    *at = a->next;
    if (!a->next)
        c->awaited_last = at;
    c->awaited_count--;
    a->connection = NULL;
}

void spawn_connection_forget_all(spawn_connection *c)
{
    while (c->awaited)
        spawn_connection_forget(c, c->awaited);
}

/* Note the answer, if it is one of them. */
static void note_awaited(spawn_connection *c, const spawn_message *m)
{
    spawn_awaited *a = c->awaited;
    int came = 1;

    while (a && a->seq != m->header.seq)
        a = a->next;
    if (!a)
        return;
    if (m->header.type == SPAWN_M_REFUSED) {
        spawn_refused(m, &a->why);
        came = -1;
    }
    else if (m->header.type != SPAWN_M_ACCEPTED) {
        spawn_failure_set(&a->why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, 0,
                          "a submit was answered with '%s'",
                          spawn_message_name(m->header.type));
        came = -1;
    }
    spawn_connection_forget(c, a);
    spawn_awaited_close(a);
    __atomic_store_n(&a->came, came, __ATOMIC_RELEASE);
}

/* ---- receive ---- */

static int receive_one(spawn_connection *c, int64_t deadline, bool look,
                       spawn_answer *ret, spawn_failure *why)
{
    spawn_packet packet;
    int rv = receive_packet(c, deadline, &packet);

    if (rv == -EMFILE) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, EMFILE,
                          "this process has no descriptor for what the "
                          "broker sent");
        return -EBADMSG;
    }
    if (rv == -EBADMSG || rv == -EMSGSIZE) {
        spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, -rv,
                          "the broker sent a packet that breaks the rules "
                          "of the wire");
        return -EBADMSG;
    }
    return rv ? rv : spawn_connection_answer(&packet, look, ret, why);
}

int spawn_connection_receive(spawn_connection *c, int64_t deadline, bool look,
                             spawn_answer *ret, spawn_failure *why)
{
    for (;;) {
        const spawn_wire_header *head = &ret->message.header;
        int rv = receive_one(c, deadline, look, ret, why);

        if (rv)
            return rv;
        if (head->type == SPAWN_M_LEASE)
            lent(c, ret);
        else if (head->seq == c->seq
                 || (head->seq == 0 && head->type == SPAWN_M_REFUSED))
            return 0;
        else
            note_awaited(c, &ret->message);
        spawn_answer_free(ret);
    }
}

int spawn_connection_take(spawn_connection *c, const spawn_awaited *a,
                          int64_t deadline, spawn_failure *why)
{
    while (!a->came) {
        spawn_answer answer;
        int rv = receive_one(c, deadline, true, &answer, why);

        if (rv)
            return rv;
        if (answer.message.header.type == SPAWN_M_LEASE)
            lent(c, &answer);
        else
            note_awaited(c, &answer.message);
        spawn_answer_free(&answer);
    }
    return 0;
}

/* ---- connect ---- */

static int fail_connect(const spawn_endpoint *endpoint, int error,
                        spawn_failure *why)
{
    const char *check;

    switch (error) {
    case ENOENT:
        check = "check that httpd runs with mod_spawn loaded and that this is "
                "its SpawnSocket";
        break;
    case ECONNREFUSED:
        check = "the socket is there and nobody listens: check that httpd "
                "runs, and its error log";
        break;
    case EACCES:
    case EPERM:
        check = "check the permissions of the socket (SpawnSocketMode) and of "
                "the directories above it";
        break;
    case EPROTOTYPE:
    case ENOTSOCK:
        check = "this is not mod_spawn's socket";
        break;
    case EAGAIN:
        check = "too many callers wait to be let in: check that the broker "
                "is alive and not stopped";
        break;
    default:
        check = "check SpawnSocket and httpd's error log";
        break;
    }
    spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_CONNECT, error,
                      "nobody answers at %s: %s; %s", endpoint->socket_path,
                      strerrordesc_np(error), check);
    return -error;
}

static int connect_socket(const spawn_endpoint *endpoint, int64_t deadline,
                          int *ret_fd, spawn_failure *why)
{
    struct sockaddr_un address;
    int pause = CONNECT_PAUSE_FIRST;
    int fd, error;

    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error = errno;
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CONNECT, error,
                          "no socket could be made: %s",
                          strerrordesc_np(error));
        return -error;
    }
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, endpoint->socket_path,
           strlen(endpoint->socket_path) + 1);

    /* A full listening queue gives EAGAIN on Unix sockets, and the socket that
     * was not connected has nothing that poll could wait for: there is only
     * trying again, in short steps that grow. */
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        error = errno;
        if (error == EINTR)
            continue;
        if (error != EAGAIN || spawn_mono_ms() >= deadline) {
            (void)close(fd);
            return fail_connect(endpoint, error, why);
        }
        spawn_pause(pause, deadline);
        if (pause < CONNECT_PAUSE_MOST)
            pause *= 2;
    }
    *ret_fd = fd;
    return 0;
}

/* Half of a request's time, so that no receive waits beyond a deadline. */
static void wait_by_itself(spawn_connection *c, unsigned timeout_ms)
{
    unsigned ms = timeout_ms / 2;
    const struct timeval time = {ms / 1000, ms % 1000 * 1000};

    if (ms
        && setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0
        && fcntl(c->fd, F_SETFL, 0) == 0)
        c->wait_ms = ms;
}

static int send_hello(spawn_connection *c, const spawn_endpoint *endpoint,
                      bool bound, int64_t deadline)
{
    uint8_t room[512];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_HELLO, 0);
    spawn_put_str(&w, SPAWN_A_CLIENT, endpoint->name);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    if (endpoint->secret)
        spawn_put_bytes(&w, SPAWN_A_SECRET, endpoint->secret,
                        SPAWN_SECRET_SIZE);
    if (bound)
        spawn_put_u64(&w, SPAWN_A_BOUND, 1);
    rv = spawn_writer_finish(&w, 0);
    if (rv)
        return rv;
    rv = spawn_connection_send(c, &w, NULL, 0, deadline);
    explicit_bzero(room, sizeof(room));
    return rv;
}

/* Take the answer to HELLO. */
static int read_welcome(const spawn_endpoint *endpoint,
                        const spawn_message *answer, char *release,
                        spawn_failure *why)
{
    if (answer->header.type == SPAWN_M_REFUSED) {
        spawn_refused(answer, why);
        return -EACCES;
    }
    if (answer->header.type != SPAWN_M_WELCOME) {
        spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_HELLO, 0,
                          "the broker at %s answered hello with '%s'",
                          endpoint->socket_path,
                          spawn_message_name(answer->header.type));
        return -EPROTO;
    }
    memset(release, 0, SPAWN_RELEASE_TEXT);
    strncpy(release, spawn_str_or(answer, SPAWN_A_RELEASE, ""),
            SPAWN_RELEASE_TEXT - 1);
    return 0;
}

static int greet(spawn_connection *c, const spawn_endpoint *endpoint,
                 bool bound, int64_t deadline, char *release,
                 spawn_failure *why)
{
    spawn_answer answer;
    int rv = send_hello(c, endpoint, bound, deadline);

    if (rv == 0)
        rv = spawn_connection_receive(c, deadline, true, &answer, why);
    switch (rv) {
    case 0:
        rv = read_welcome(endpoint, &answer.message, release, why);
        spawn_answer_free(&answer);
        return rv;
    case -EPIPE:
        spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_HELLO, EPIPE,
                          "the broker at %s closed the connection at once; "
                          "check httpd's error log",
                          endpoint->socket_path);
        return rv;
    case -ETIMEDOUT:
        spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_HELLO, ETIMEDOUT,
                          "no welcome from %s within the deadline: the broker "
                          "is busy, stopped or being started; check httpd's "
                          "error log",
                          endpoint->socket_path);
        return rv;
    case -EPROTONOSUPPORT:
        spawn_failure_set(why, SPAWN_E_VERSION, SPAWN_STEP_HELLO, 0,
                          "the broker at %s speaks another wire version than "
                          "this caller (release %s, wire version %d): restart "
                          "what still runs the old release",
                          endpoint->socket_path, SPAWN_RELEASE,
                          SPAWN_WIRE_VERSION);
        return rv;
    case -EBADMSG:
        return rv;
    default:
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_HELLO, -rv,
                          "hello to %s: %s", endpoint->socket_path,
                          strerrordesc_np(-rv));
        return rv;
    }
}

int spawn_connection_open(const spawn_endpoint *endpoint, bool bound,
                          int64_t deadline, spawn_connection **ret,
                          char *release, spawn_failure *why)
{
    spawn_connection *c;
    int rv;

    c = calloc(1, sizeof(*c));
    if (c)
        c->buffer = malloc(BUFFER_SIZE);
    if (!c || !c->buffer) {
        free(c);
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CONNECT, ENOMEM,
                          "no memory for a connection");
        return -ENOMEM;
    }
    c->fd = c->direct.fd = -1;
    rv = connect_socket(endpoint, deadline, &c->fd, why);
    spawn_fd_keep(&c->kept, c->fd);
    if (rv == 0)
        wait_by_itself(c, endpoint->timeout_ms);
    if (rv == 0)
        rv = greet(c, endpoint, bound, deadline, release, why);
    if (rv) {
        spawn_connection_free(c);
        return rv;
    }
    *ret = c;
    return 0;
}

void spawn_connection_check(spawn_connection *c)
{
    c->fd = spawn_fd_kept(&c->kept);
}

void spawn_connection_free(spawn_connection *c)
{
    if (!c)
        return;
    spawn_connection_forget_all(c);
    spawn_fd_close(&c->kept);
    spawn_fd_close(&c->direct);
    free(c->buffer);
    free(c);
}

void spawn_answer_free(spawn_answer *answer)
{
    if (!answer)
        return;
    spawn_packet_close(&answer->packet);
    free(answer->buffer);
    answer->buffer = NULL;
    /* its attributes point at nothing now: it is no message any more */
    memset(&answer->message.header, 0, sizeof(answer->message.header));
}
