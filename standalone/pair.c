/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner of a standalone pair: its start, what it says, and its end. Runs
 * in spawn-standalone, which is its parent.
 */
#include "standalone/standalone.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "parent/begin.h"
#include "parent/listen.h"

#define EXEC_MS  10000
#define READY_MS 30000
#define LOCK_MS  10000 /* for the end of a pair of before */
#define LOOK_MS  50

/* Only with the lock on the store: a pair that has it may still be reached by
 * the socket that stands there. */
static int make_sockets(standalone *s)
{
    int rv;

    s->listen = spawn_listen_in(s->dir, STANDALONE_SOCKET, 0600, getegid());
    if (s->listen < 0)
        return s->listen;
    rv = standalone_note_socket(s);
    if (rv < 0)
        return rv;
    return spawn_post_make(s->secret, sizeof(s->secret), &s->post_rx,
                           &s->post_tx, &s->inbox);
}

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

typedef struct {
    int fds[SPAWN_FDS_MAX];
    uint64_t roles[SPAWN_FDS_MAX];
    unsigned count;
} fd_list;

static void add_fd(fd_list *list, spawn_fd_role role, int fd)
{
    list->fds[list->count] = fd;
    list->roles[list->count++] = role;
}

static int configure(standalone *s, int lock, int control, int pidfd)
{
    fd_list list = {.count = 0};
    spawn_writer w;
    spawn_id life;
    int rv = spawn_id_make(&life);

    if (rv < 0)
        return rv;
    add_fd(&list, SPAWN_FD_LOG, s->log);
    add_fd(&list, SPAWN_FD_PARENT, pidfd);
    add_fd(&list, SPAWN_FD_BROKER_BIN, s->broker_bin);
    add_fd(&list, SPAWN_FD_SPAWNER_BIN, s->spawner_bin);
    add_fd(&list, SPAWN_FD_LISTEN, s->listen);
    add_fd(&list, SPAWN_FD_POST_RX, s->post_rx);
    add_fd(&list, SPAWN_FD_POST_TX, s->post_tx);
    add_fd(&list, SPAWN_FD_INBOX, s->inbox);
    add_fd(&list, SPAWN_FD_LOCK, lock);
    add_fd(&list, SPAWN_FD_CONTROL, control);
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_CONFIGURE));
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, ++s->seq);
    spawn_put_id(&w, SPAWN_A_INSTANCE, &life);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, list.roles, list.count);
    standalone_put(s, &w);
    rv = spawn_writer_finish(&w, list.count);
    if (rv == 0)
        rv = spawn_packet_send(s->link, w.data, w.length, list.fds, list.count);
    spawn_writer_free(&w);
    return rv;
}

static int tell_go(const standalone *s)
{
    uint8_t room[SPAWN_WIRE_HEADER];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_GO, 0);
    (void)spawn_writer_finish(&w, 0);
    return spawn_packet_send(s->link, w.data, w.length, NULL, 0);
}

/* Also a spawner of before that has taken its time, or never got to its exec.
 */
static void reap(standalone *s)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        if (pid == s->pid)
            s->pid = 0;
    }
}

int standalone_start(standalone *s, char *why)
{
    char name[] = "mod_spawn spawner";
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char zone[256] = "";
    char *argv[] = {name, s->socket, NULL};
    char *envp[] = {path, NULL, NULL};
    int control = -1, pidfd = spawn_os_pidfd(getpid());
    /* a pair of before may have it until its jobs are done */
    int lock = standalone_lock(s->store_dir, "lock", LOCK_MS), rv;

    reap(s);
    (void)snprintf(why, 200, "the store cannot be locked: %s",
                   lock == -EWOULDBLOCK
                       ? "jobs of a pair that was killed still run"
                       : strerror(-lock));
    s->held = lock == -EWOULDBLOCK;
    rv = lock < 0 ? lock : pidfd < 0 ? pidfd : 0;
    if (rv == 0 && s->inbox < 0) {
        rv = make_sockets(s);
        (void)snprintf(why, 200, "its socket cannot be made: %s",
                       strerror(-rv));
    }
    if (rv == 0) {
        control = spawn_listen_in(s->store_dir, "control", 0600, getegid());
        rv = control < 0 ? control : spawn_os_pass_credentials(control);
        (void)snprintf(why, 200, "the socket 'control' cannot be made: %s",
                       strerror(-rv));
    }
    if (getenv("TZ")) {
        (void)snprintf(zone, sizeof(zone), "TZ=%s", getenv("TZ"));
        envp[1] = zone;
    }
    if (rv == 0) {
        rv = -spawn_begin(s->spawner, argv, envp, EXEC_MS, &s->link, &s->pid);
        if (rv == 0)
            rv = configure(s, lock, control, pidfd);
        (void)snprintf(why, 200, "%.120s cannot be started: %s", s->spawner,
                       strerror(-rv));
    }
    if (rv == 0)
        rv = tell_go(s);
    if (pidfd >= 0)
        (void)close(pidfd);
    if (lock >= 0)
        (void)close(lock);
    if (control >= 0)
        (void)close(control);
    return rv;
}

/* One message. 1: it is ready; 0: it is not yet; negative: it has gone, or is
 * not ready and says why. */
static int read_one(const standalone *s, char *why)
{
    static uint8_t room[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    static spawn_message m;
    spawn_failure failure;
    spawn_packet packet;
    int rv = spawn_packet_receive(s->link, room, sizeof(room), &packet);

    if (rv == -EAGAIN)
        return 0;
    if (rv <= 0) {
        (void)snprintf(why, 200, "the spawner has ended");
        return -EPIPE;
    }
    rv = 0;
    if (spawn_message_parse(packet.data, packet.length,
                            SPAWN_FROM_SPAWNER_TO_PARENT, packet.fds_count, &m,
                            &failure)
        == 0) {
        if (m.header.type == SPAWN_M_READY)
            rv = 1;
        if (m.header.type == SPAWN_M_NOT_READY) {
            (void)snprintf(why, 200, "%.190s",
                           spawn_str_or(&m, SPAWN_A_TEXT, "?"));
            rv = -ENOTCONN;
        }
    }
    spawn_packet_close(&packet);
    return rv;
}

int standalone_ready(standalone *s, char *why)
{
    int64_t deadline = spawn_mono_ms() + READY_MS;
    int rv;

    while ((rv = read_one(s, why)) == 0) {
        int64_t left = deadline - spawn_mono_ms();
        struct pollfd link = {s->link, POLLIN, 0};

        if (left <= 0) {
            (void)snprintf(why, 200, "it does not get ready");
            return -ETIMEDOUT;
        }
        (void)poll(&link, 1, (int)left);
    }
    return rv < 0 ? rv : 0;
}

bool standalone_listen_to(standalone *s)
{
    char why[200];
    int rv;

    while ((rv = read_one(s, why)) == 1 || rv == -ENOTCONN)
        ;
    reap(s);
    if (rv == 0 && s->pid)
        return true;
    standalone_let_go(s, READY_MS);
    return false;
}

void standalone_let_go(standalone *s, int64_t wait_ms)
{
    int64_t deadline = spawn_mono_ms() + wait_ms;

    if (s->link >= 0)
        (void)close(s->link);
    s->link = -1;
    reap(s);
    while (s->pid && spawn_mono_ms() < deadline) {
        pause_ms(LOOK_MS);
        reap(s);
    }
}
