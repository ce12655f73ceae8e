/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's life, seen from the spawner: start it, notice its death, start
 * it again. tell.c tells it, orders.c obeys it. Runs in the spawner only. Must
 * never wait for the broker.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "spawner/spawner.h"

#define LINK_FD         3
#define NOTIFY_FD       4 /* SPAWN_NOTIFY_FD of broker/base/notify.h */
#define LINK_BUFFER     (1 << 20)
#define YOUNG_MS        5000 /* a broker that dies younger is backed off */
#define BACK_OFF_MS     100  /* from the second young death in a row, doubled */
#define BACK_OFF_MAX_MS 10000
#define LOOK_MS         1000 /* between looks at a broker that has handles */
#define END_HANGS_MS    2000 /* exiting for so long, it counts as dead */
#define GIVE_UP_DEATHS  10   /* when lingering with nothing running */

/* ---- start and end ---- */

/* Runs in the broker's process; returns its exit code when the program cannot
 * be executed. */
static int run_broker(int link)
{
    static char name[] = "mod_spawn broker";
    char *argv[] = {name, spawner.socket_path, NULL};
    char path[] = "PATH=/usr/bin:/bin";
    char zone[128] = "TZ=";
    const char *tz = getenv("TZ");
    char *envp[] = {path, NULL, NULL};
    int bin = spawner.fds[SPAWN_FD_BROKER_BIN];
    int notify = spawner.notify;
    static const sigset_t none; /* of no signal */
    spawn_step step;
    int error;

    if (tz && strlen(tz) < sizeof(zone) - 3) {
        (void)strcpy(zone + 3, tz);
        envp[1] = zone;
    }
    step = spawn_child_become(&spawner.broker_as, &error);
    if (step) {
        spawn_log(SPAWN_LOG_CRIT, MSNO(0304) "the broker cannot start: %s: %s",
                  spawn_step_name(step), strerror(error));
        return 1;
    }
    /* It executes nothing; an attacker that made it execute something would
     * gain nothing. */
    (void)spawn_os_no_new_privs();
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* Numbers 3 and 4 may be taken by what is to be executed or passed. */
    bin = fcntl(bin, F_DUPFD_CLOEXEC, NOTIFY_FD + 1);
    if (notify >= 0)
        notify = fcntl(notify, F_DUPFD_CLOEXEC, NOTIFY_FD + 1);
    if (bin >= 0 && dup2(link, LINK_FD) >= 0
        && (notify < 0 || dup2(notify, NOTIFY_FD) >= 0))
        errno = -spawn_os_exec_fd(bin, argv, envp);
    spawn_log(SPAWN_LOG_CRIT,
              MSNO(0305) "the broker's program cannot be executed: %s",
              strerror(errno));
    return 1;
}

void broker_start(void)
{
    int ends[2];
    int size = LINK_BUFFER;
    pid_t pid;

    spawner.broker_start_at = 0;
    spawner.broker_since = spawn_mono_ms();
    programs_note_broker();
    reserve_use();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
        < 0) {
        broker_died(-1);
        return;
    }
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    pid = fork();
    if (pid == 0)
        _exit(run_broker(ends[1]));
    (void)close(ends[1]);
    reserve_fill();
    if (pid < 0) {
        (void)close(ends[0]);
        broker_died(-1);
        return;
    }
    spawner.link = ends[0];
    spawner.broker_pid = pid;
    spawner.broker_ready = spawner.broker_refused = false;
    spawner.broker_is_of_our_release = spawner.programs_are_of_our_release;
    watchdog_begin(spawner.broker_since);
    tell_begin();
    (void)watch(ends[0], ON_LINK, EPOLLIN);
}

#define END_HANGS (-2) /* of no status */

static void describe(int status, char *text, size_t room)
{
    if (status == -1)
        (void)strncpy(text, "could not be forked", room);
    else if (status == END_HANGS)
        (void)strncpy(text, "hangs in its end, in a handle that does not close",
                      room);
    else if (WIFSIGNALED(status))
        (void)snprintf(text, room, "was killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(text, room, "ended with code %d", WEXITSTATUS(status));
}

/* Has nothing been posted? At the end of lingering. Children of an httpd that
 * was killed may post in this moment: either the post fails, and the client
 * writes it to the spool, or it is in the socket and has to be stored. */
static bool nothing_posted(void)
{
    int rx = spawner.fds[SPAWN_FD_POST_RX], bytes = 0;

    spawner.ending = true;
    (void)shutdown(rx, SHUT_RD);
    /* without a socket nothing is in it */
    return ioctl(rx, FIONREAD, &bytes) < 0 || bytes == 0;
}

void broker_stop(void)
{
    if (spawner.link < 0) {
        if (!spawner.config || !control_has_gone())
            spawner_end(0, "");
        broker_start(); /* posted jobs are in no other hands */
    }
    tell_quit();
}

/* The broker of a spawner that was told to end has ended. Without httpd nobody
 * else has the post socket: one more broker stores what came there meanwhile.
 */
static void stop_or_store(int status)
{
    if (!control_has_gone() || spawner.ending || status != 0
        || nothing_posted())
        spawner_end(0, "");
    broker_start();
    tell_quit();
}

/* Ms until another is started, after so many young deaths in a row. */
static int64_t back_off(unsigned deaths)
{
    int64_t delay = BACK_OFF_MS;

    if (deaths < 2)
        return 0;
    for (; deaths > 2 && delay < BACK_OFF_MAX_MS; deaths--)
        delay *= 2;
    return delay < BACK_OFF_MAX_MS ? delay : BACK_OFF_MAX_MS;
}

void broker_died(int status)
{
    int64_t now = spawn_mono_ms();
    bool young = now - spawner.broker_since < YOUNG_MS;
    int64_t delay;
    bool said_bye;
    char how[80] = "";

    /* Orders from before its death count: handles to hold, exits that the store
     * has, its BYE. Nothing more can be sent there. */
    (void)shutdown(spawner.link, SHUT_RD);
    while (spawner.link >= 0 && orders_take_one() > 0)
        continue;
    said_bye = spawner.broker_said_bye;
    unwatch(&spawner.link);
    reserve_fill();
    spawner.broker_pid = 0;
    spawner.broker_ending_at = 0;
    spawner.broker_said_bye = false;
    if (external_stops()) {
        stop_or_store(status);
        return;
    }
    if (said_bye && spawner.lingering) {
        if (nothing_posted())
            spawner_end(0, "");
        control_leave(); /* the link of an httpd that has just adopted us */
        broker_start();  /* it stores the posts, and says BYE again */
        return;
    }
    if (spawner.upgrading) {
        (void)upgrade_exec();
        spawner.upgrading = false; /* the old self goes on */
    }
    describe(status, how, sizeof(how));
    /* adopted just when the broker said BYE: the next one will be ready */
    if (!spawner.broker_ready && !said_bye)
        control_tell_ready(false, "the broker ended before it was ready; the "
                                  "lines above say why");
    spawner.broker_deaths = young ? spawner.broker_deaths + 1 : 0;
    if (spawner.lingering && table_jobs() == 0
        && (spawner.broker_deaths >= GIVE_UP_DEATHS || !spawner.gone_on))
        spawner_end(1, "no broker can be started, and nothing is running");
    delay = back_off(spawner.broker_deaths);
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0306) "the broker %s; another starts in %d ms, running jobs "
                         "go on",
              how, (int)delay);
    if (delay == 0)
        broker_start();
    else
        spawner.broker_start_at = now + delay;
}

void broker_configure(void)
{
    tell_configure();
    if (spawner.link < 0 && !spawner.broker_start_at)
        broker_start();
}

/* ---- does it hang in its end? ---- */

/* A killed process runs no more of its code. But while the kernel cannot close
 * what it had (a file of a file system that does not answer), nothing tells of
 * its death, and its link does not end either. It is reaped silently when it
 * ends. Only a broker that has handles of callers can get there. */
int broker_timers(int64_t now)
{
    if (!held_first() || spawner.broker_pid <= 0)
        return -1;
    if (now - spawner.broker_looked_at < LOOK_MS)
        return (int)(LOOK_MS - (now - spawner.broker_looked_at));
    spawner.broker_looked_at = now;
    if (!spawn_os_exiting(spawner.broker_pid))
        spawner.broker_ending_at = 0;
    else if (!spawner.broker_ending_at)
        spawner.broker_ending_at = now;
    else if (now - spawner.broker_ending_at >= END_HANGS_MS)
        broker_died(END_HANGS);
    return LOOK_MS;
}
