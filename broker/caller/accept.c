/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers are let in: the listening socket, HELLO, and messages that are
 * refused before anybody looks at the request. Runs in the broker, on hostile
 * bytes. Must not take a descriptor or a request before HELLO.
 */
#include "broker/caller/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/passed.h"
#include "broker/base/timer.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"
#include "broker/caller/connection.h"
#include "broker/caller/crowd.h"
#include "broker/caller/doubt.h"
#include "broker/caller/request.h"
#include "broker/caller/stop.h"
#include "broker/caller/waiter.h"
#include "broker/caller/watcher.h"

#define HELLO_WITHIN   5000 /* ms */
#define ACCEPTS_A_TURN 64
#define UNPROVEN_MAX   64
#define PAUSE          500 /* ms, when there are no descriptors */
#define RELIEF         200 /* ms */

static struct {
    spawn_watch watch;
    spawn_batch *batch; /* that their jobs go into */
} listener = {.watch = {.fd = -1}};
static int listen_fd = -1;
static spawn_timer pause_timer;
static unsigned unproven; /* callers before HELLO, of accounts with no right */

static void hello_late(spawn_timer *t)
{
    spawn_peer *peer = SPAWN_OWNER(t, spawn_peer, hello);

    spawn_log_few(
        spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW, SPAWN_LOG_INFO,
        MSNO(0540) "a caller (pid %d, uid %d) said no HELLO within %d s "
                   "and was dropped",
        (int)peer->pid, (int)peer->uid, HELLO_WITHIN / 1000);
    spawn_peer_close(peer);
}

/* ---- HELLO ---- */

static bool same_secret(const spawn_attr *given)
{
    uint8_t differs = 0;
    unsigned i;

    if (!spawn_conf.has_secret || given->length != SPAWN_SECRET_SIZE)
        return false;
    for (i = 0; i < SPAWN_SECRET_SIZE; i++)
        differs |= given->data[i] ^ spawn_conf.secret[i];
    return differs == 0;
}

static void not_unproven(spawn_peer *peer)
{
    unproven -= peer->unproven;
    peer->unproven = false;
}

static void not_listed(spawn_peer *peer)
{
    if (peer->listed)
        spawn_crowd_leave(peer->uid);
    peer->listed = false;
}

static void welcome(spawn_peer *peer, uint32_t seq)
{
    uint8_t room[256];
    spawn_writer w;

    not_unproven(peer);
    if (peer->proven)
        not_listed(peer);
    peer->welcome = true;
    (void)spawn_os_pass_descriptors(peer->watch.fd, true);
    spawn_timer_clear(&peer->hello);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WELCOME, seq);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_id(&w, SPAWN_A_INSTANCE, &spawn_conf.spawner_life);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    (void)spawn_writer_finish(&w, 0);
    spawn_peer_send(peer, &w);
}

/* Others may not know the messages about leases. */
static bool is_of_our_release(const spawn_message *m)
{
    return strcmp(spawn_str_or(m, SPAWN_A_RELEASE, ""), SPAWN_RELEASE) == 0;
}

/* A child that comes again has its own configuration, and not the one of now:
 * one that was replaced finishes its requests. */
static void is_of_before(spawn_peer *peer)
{
    const spawn_peer *other = spawn_peer_next(NULL);

    for (; other; other = spawn_peer_next(other)) {
        if (other->proven && other->pid == peer->pid && other->uid == peer->uid
            && other->since < peer->since)
            peer->since = other->since;
    }
}

static void hello(spawn_peer *peer, const spawn_message *m)
{
    const spawn_attr *secret = &m->attr[SPAWN_A_SECRET];
    spawn_failure why;

    peer->proven = spawn_has(m, SPAWN_A_SECRET) && same_secret(secret)
                   && spawn_conf_is_httpds(peer->uid);
    if (peer->trusted || peer->proven || spawn_access_knows(peer)) {
        if (peer->proven)
            is_of_before(peer);
        peer->bound = spawn_u64_or(m, SPAWN_A_BOUND, 0) != 0;
        peer->direct = peer->proven && !peer->bound && is_of_our_release(m);
        welcome(peer, m->header.seq);
        return;
    }
    spawn_log_few(
        spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
        MSNO(0541) "a caller (pid %d, uid %d) was not let in: wrong or "
                   "no secret, and no SpawnAccess gives it a right",
        (int)peer->pid, (int)peer->uid);
    spawn_failure_set(&why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_HELLO, 0,
                      "uid %d may not use this spawner: no SpawnAccess of "
                      "httpd.conf gives it a right",
                      (int)peer->uid);
    spawn_peer_refuse(peer, m->header.seq, NULL, &why);
    spawn_peer_close(peer);
}

/* ---- descriptors that do not close ---- */

static void relieve(spawn_timer *t)
{
    spawn_peer *peer = SPAWN_OWNER(t, spawn_peer, relief);

    if (spawn_passed_too_many(peer->uid)) {
        spawn_timer_set(t, spawn_mono_ms() + RELIEF);
        return;
    }
    (void)spawn_os_pass_descriptors(peer->watch.fd, true);
    peer->unread = false;
    spawn_peer_watch_what(peer);
}

/* Too many descriptors of its uid wait to be closed: the kernel refuses more of
 * them, or, where it cannot, the peer is not read for a while. */
static void look_at_burden(spawn_peer *peer)
{
    if (!peer->welcome || peer->relief.place
        || !spawn_passed_too_many(peer->uid))
        return;
    peer->unread = spawn_os_pass_descriptors(peer->watch.fd, false) < 0;
    spawn_peer_watch_what(peer);
    peer->relief.fire = relieve;
    spawn_timer_set(&peer->relief, spawn_mono_ms() + RELIEF);
}

/* A message is refused, and nobody looks which request it is. */
static void refuse(spawn_peer *peer, uint32_t seq, spawn_failure *why)
{
    spawn_doubt_refused(peer, why);
    spawn_peer_refuse(peer, seq, NULL, why);
}

static void refuse_descriptors(spawn_peer *peer, const spawn_message *m)
{
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, EMFILE,
                      "no more handles are taken from uid %d: those that it "
                      "passed before do not close (a file system or connection "
                      "does not answer)",
                      (int)peer->uid);
    refuse(peer, m->header.seq, &why);
}

/* ---- messages ---- */

static void bad_message(spawn_peer *peer, const spawn_message *m, int rv,
                        spawn_failure *why)
{
    refuse(peer, m->header.seq, why);
    if (rv == -EMSGSIZE && peer->welcome)
        return; /* well formed, only too big */
    spawn_log_few(spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0542) "a caller (pid %d, uid %d) broke the rules of the "
                             "wire and was dropped: %s",
                  (int)peer->pid, (int)peer->uid, why->text);
    spawn_peer_close(peer);
}

static void one_message(spawn_peer *peer, spawn_packet *p)
{
    spawn_message m;
    spawn_failure why;
    int rv = spawn_message_parse(p->data, p->length, SPAWN_FROM_CALLER,
                                 p->fds_count, &m, &why);

    if (rv < 0) {
        bad_message(peer, &m, rv, &why);
    }
    else if (m.header.type == SPAWN_M_HELLO) {
        hello(peer, &m);
    }
    else if (!peer->welcome) {
        spawn_failure_set(&why, SPAWN_E_PROTOCOL, SPAWN_STEP_HELLO, 0,
                          "the first message must be a hello");
        bad_message(peer, &m, -EBADMSG, &why);
    }
    else if (p->fds_count > 0 && spawn_passed_too_many(peer->uid)) {
        refuse_descriptors(peer, &m);
    }
    else {
        spawn_request(peer, &m, p);
    }
}

/* It is not to blame, and has its answer like others. */
static void no_room(spawn_peer *peer, const uint8_t *bytes)
{
    spawn_wire_header head;
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, EMFILE,
                      "the broker has no room for what came with the request: "
                      "its limit of open files is reached");
    spawn_log_few("all callers", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0545) "a request (pid %d, uid %d) is refused: there is "
                             "no descriptor for what came with it",
                  (int)peer->pid, (int)peer->uid);
    if (spawn_wire_read_header(bytes, SPAWN_WIRE_HEADER, &head) < 0)
        head.seq = 0;
    refuse(peer, head.seq, &why);
}

static void bad_packet(spawn_peer *peer, const uint8_t *bytes, int rv)
{
    spawn_message none;
    spawn_failure why;

    if (rv == -EMFILE && peer->welcome) {
        no_room(peer, bytes);
        return;
    }
    memset(&none.header, 0, sizeof(none.header));
    spawn_failure_set(&why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, -rv,
                      "a packet is too long, or its descriptors or body did "
                      "not arrive whole");
    bad_message(peer, &none, -EBADMSG, &why);
}

/* Nothing lets it in any more, it waits for nothing, and no job that runs would
 * end with it. */
static bool is_over(const spawn_peer *peer)
{
    return peer->welcome && !peer->trusted && !peer->proven
           && !spawn_access_knows(peer) && !peer->asks && !peer->out
           && !peer->waiters && !peer->watches && peer->owed_count == 0
           && !spawn_stop_binds(peer);
}

static void close_when_over(spawn_peer *peer)
{
    if (!spawn_peer_open(peer) || !is_over(peer))
        return;
    spawn_log_few(spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW,
                  SPAWN_LOG_NOTICE,
                  MSNO(0549) "the connection of a caller (pid %d, uid %d) was "
                             "closed: no SpawnAccess gives it a right any more",
                  (int)peer->pid, (int)peer->uid);
    spawn_peer_close(peer);
}

void spawn_callers_ruled(void)
{
    spawn_peer *peer = spawn_peer_next(NULL), *next;

    for (; peer; peer = next) {
        next = spawn_peer_next(peer);
        close_when_over(peer);
    }
}

/* One that was owed something when the rules changed goes at its next request,
 * which is refused. */
static void packet(spawn_peer *peer, spawn_packet *p)
{
    one_message(peer, p);
    close_when_over(peer);
    if (spawn_peer_open(peer))
        look_at_burden(peer);
}

static void closed(spawn_peer *peer)
{
    not_unproven(peer);
    not_listed(peer);
    spawn_waiters_leave(peer);
    spawn_watches_leave(peer);
    spawn_peer_drop_asks(peer);
    spawn_stop_bound(peer);
    spawn_watch_events(&listener.watch, SPAWN_IN); /* a descriptor is free */
}

static const spawn_peer_events events = {.packet = packet,
                                         .bad_packet = bad_packet,
                                         .writable = spawn_peer_serve,
                                         .closed = closed};

/* ---- coming ---- */

static void resume(spawn_timer *t)
{
    (void)t;
    spawn_watch_events(&listener.watch, SPAWN_IN);
}

/* Is there room for one more of its kind? */
static bool is_counted(spawn_peer *peer)
{
    peer->unproven = !peer->trusted && !spawn_access_knows(peer);
    if (peer->trusted)
        return true;
    if (peer->unproven)
        return unproven < UNPROVEN_MAX;
    peer->listed = spawn_crowd_join(peer->uid);
    if (!peer->listed)
        spawn_log_few(
            spawn_log_uid((long)peer->uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
            MSNO(0548) "a caller (pid %d, uid %d) was dropped: its account has "
                       "as many connections as one may have that SpawnAccess "
                       "lets in",
            (int)peer->pid, (int)peer->uid);
    return peer->listed;
}

static void greet(int fd)
{
    spawn_peer *peer = spawn_peer_new(fd, listener.batch);

    peer->since = spawn_conf.configured_at;
    spawn_access_look(peer, fd);
    if (!is_counted(peer)) {
        spawn_closer_give_socket(fd, peer->uid);
        spawn_peer_free(peer);
        return;
    }
    if (spawn_peer_watch(peer, fd) < 0) {
        not_listed(peer);
        spawn_peer_free(peer);
        return;
    }
    unproven += peer->unproven;
    peer->hello.fire = hello_late;
    spawn_timer_set(&peer->hello, spawn_mono_ms() + HELLO_WITHIN);
}

static void listener_ready(spawn_watch *w, int unused)
{
    int i;

    (void)unused;
    for (i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            greet(fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EAGAIN)
            return;
        /* No descriptors: the caller waits in the backlog until one is free. */
        spawn_log_few("all callers", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                      MSNO(0543) "callers have to wait: %s", strerror(errno));
        spawn_watch_events(w, 0);
        pause_timer.fire = resume;
        spawn_timer_set(&pause_timer, spawn_mono_ms() + PAUSE);
        return;
    }
}

void spawn_callers_listen_on(int fd)
{
    bool was_open = listener.watch.fd >= 0;

    spawn_watch_close(&listener.watch);
    if (listen_fd >= 0)
        (void)close(listen_fd);
    (void)spawn_os_pass_descriptors(fd, false);
    listen_fd = fd;
    if (was_open)
        spawn_callers_listen(listener.batch);
}

void spawn_callers_listen(spawn_batch *batch)
{
    listener.batch = batch;
    if (listen_fd < 0)
        return;
    spawn_peers_open(&events);
    if (spawn_watch_open(&listener.watch, listen_fd, SPAWN_IN, listener_ready)
        < 0)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0544) "the callers' socket cannot be watched");
    listen_fd = -1;
}
