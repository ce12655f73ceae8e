/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay's life, seen from the spawner: start it when httpd.conf wants one
 * and a broker is ready, and start it again when it has ended. Runs in the
 * spawner only. The spawner reads nothing of it: its link goes to the broker,
 * and it ends with that link. Killing it loses nothing (docs/cluster.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "spawner/spawner.h"

#define LINK_FD         3
#define LINK_BUFFER     (1 << 20)
#define YOUNG_MS        5000
#define BACK_OFF_MS     100 /* from the second young death in a row, doubled */
#define BACK_OFF_MAX_MS 10000
#define TRY_AGAIN_MS    100 /* the broker takes no message now */

/* Its program is kept while httpd.conf wants it, over an upgrade, too. */
static bool is_wanted(void)
{
    return spawner.fds[SPAWN_FD_RELAY_BIN] >= 0;
}

/* Runs in the relay's process; returns its exit code when the program cannot be
 * executed. */
static int run_relay(int link)
{
    static char name[] = "mod_spawn relay";
    char *argv[] = {name, spawner.socket_path, NULL};
    char path[] = "PATH=/usr/bin:/bin";
    char *envp[] = {path, NULL};
    int bin = spawner.fds[SPAWN_FD_RELAY_BIN];
    static const sigset_t none; /* of no signal */
    spawn_step step;
    int error;

    step = spawn_child_become(&spawner.broker_as, &error);
    if (step) {
        spawn_log(SPAWN_LOG_CRIT, MSNO(0390) "the relay cannot start: %s: %s",
                  spawn_step_name(step), strerror(error));
        return 1;
    }
    (void)spawn_os_no_new_privs();
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    bin = fcntl(bin, F_DUPFD_CLOEXEC, LINK_FD + 1);
    if (bin >= 0 && dup2(link, LINK_FD) >= 0)
        errno = -spawn_os_exec_fd(bin, argv, envp);
    spawn_log(SPAWN_LOG_CRIT,
              MSNO(0391) "the relay's program cannot be executed: %s",
              strerror(errno));
    return 1;
}

static int give_link(int fd)
{
    uint8_t room[SPAWN_WIRE_HEADER];
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_RELAY, 0);
    rv = spawn_writer_finish(&w, 1);
    return rv ? rv : spawn_packet_send(spawner.link, w.data, w.length, &fd, 1);
}

/* The broker has its end before the relay lives, so that an end that nobody
 * reads cannot be left over. */
static void start(int64_t now)
{
    int ends[2] = {-1, -1};
    int size = LINK_BUFFER;
    pid_t pid = -1;
    int rv;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
        < 0)
        goto later;
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    rv = give_link(ends[0]);
    if (rv < 0)
        goto later;
    pid = fork();
    if (pid == 0)
        _exit(run_relay(ends[1]));
later:
    if (ends[0] >= 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
    spawner.relay.start_at = pid > 0 ? 0 : now + TRY_AGAIN_MS;
    spawner.relay.since = now;
    if (pid > 0)
        spawner.relay.pid = pid;
}

void relay_configure(const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_RELAY_URL))
        return;
    if (spawner.relay.pid > 0)
        (void)kill(spawner.relay.pid, SIGKILL);
    unwatch(&spawner.fds[SPAWN_FD_RELAY_BIN]);
}

/* Code 0: other rules came, or its broker has gone. */
static void describe(int status, char *text, size_t room)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, room, "was killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(text, room, "ended with code %d", WEXITSTATUS(status));
}

void relay_died(int status)
{
    int64_t now = spawn_mono_ms(), delay = 0;
    int level = status ? SPAWN_LOG_ERR : SPAWN_LOG_INFO;
    char how[80];

    spawner.relay.pid = 0;
    if (!is_wanted() || spawner.link < 0)
        return;
    spawner.relay.deaths =
        now - spawner.relay.since < YOUNG_MS ? spawner.relay.deaths + 1 : 0;
    if (spawner.relay.deaths > 1)
        delay = spawner.relay.deaths > 8
                    ? BACK_OFF_MAX_MS
                    : BACK_OFF_MS << (spawner.relay.deaths - 2);
    if (delay > BACK_OFF_MAX_MS)
        delay = BACK_OFF_MAX_MS;
    describe(status, how, sizeof(how));
    spawn_log(level,
              MSNO(0392) "the relay %s; another starts in %d ms, and jobs of "
                         "shared queues wait until then",
              how, (int)delay);
    spawner.relay.start_at = now + delay;
}

int64_t relay_timers(int64_t now)
{
    if (!is_wanted() || spawner.relay.pid > 0 || spawner.link < 0
        || !spawner.broker_ready)
        return -1;
    if (spawner.relay.start_at > now)
        return spawner.relay.start_at - now;
    start(now);
    return spawner.relay.start_at ? TRY_AGAIN_MS : -1;
}
