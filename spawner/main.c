/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner: begins jobs, is their parent, reaps them, keeps a broker alive.
 * Runs as a process of its own. spawner.h says what it must never do.
 *
 * It is a program of its own, executed by the httpd parent, because fork costs
 * what the forking process weighs: from a mod_perl child of 200 MB it takes
 * milliseconds, from here some 50 microseconds. Most jobs are not even forked
 * here, but cloned (clone.c). vfork would not do: a parent that vforks stands
 * still until exec is done, so one exec from a hung file system would stop
 * every job.
 *
 * This file: start, the loop, the end. The program starts with descriptor 3 as
 * the link to the httpd parent, or, below systemd, as the socket where that
 * connects (external.c), stdin and stdout /dev/null, stderr the error log.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "common/spawn_sweep.h"
#include "spawner/spawner.h"

#define CONTROL_FD 3
#define TRY_AGAIN  20 /* ms, when no event will tell that it can go on */

/* Set all signals to their default action, then block them and read them
 * through a descriptor: a stray signal must not end the parent of the jobs, and
 * a job starts with no signal ignored or caught. */
static int take_signals(void)
{
    sigset_t all;
    int rv;

    spawn_os_default_signals();
    rv = spawn_os_block_signals();
    if (rv < 0)
        return rv;
    memset(&all, 0xff, sizeof(all)); /* sigfillset leaves two out */
    spawner.signals = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
    return spawner.signals < 0 ? -errno : 0;
}

static void raise_file_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* Say what did not work, and what to do: a bare "Operation not permitted" says
 * neither. */
static int missing(int rv, const char *what)
{
    if (rv < 0)
        spawn_log(SPAWN_LOG_CRIT, MSNO(0350) "the spawner cannot %s: %s%s",
                  what, strerror(-rv),
                  rv == -EPERM || rv == -ENOSYS || rv == -EACCES
                      ? "; a filter of system calls (seccomp, the container's "
                        "or systemd's) seems to forbid it: allow it there"
                      : "");
    return rv;
}

static int set_up(void)
{
    int rv;

    (void)spawn_os_cloexec_from(CONTROL_FD);
    if ((rv = missing(spawn_os_subreaper(),
                      "become the parent of what jobs leave (prctl)"))
            < 0
        || (rv = missing(spawn_os_undumpable(), "hide its memory (prctl)")) < 0
        || (rv = missing(take_signals(), "read signals (signalfd)")) < 0
        || (rv = missing(table_init(), "reserve memory for its table (mmap)"))
               < 0)
        return rv;
    if (geteuid() == 0
        && (rv = missing(spawn_os_drop_capabilities(),
                         "keep CAP_SETUID, CAP_SETGID and CAP_KILL, and no "
                         "others (capset)"))
               < 0)
        return rv;
    spawn_os_drop_ambient();
    (void)spawn_os_sched_batch(true);
    raise_file_limit();
    clone_open();
    if (chdir("/") < 0)
        return missing(-errno, "enter the directory /");
    spawner.notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (spawner.epoll < 0)
        return missing(-errno, "wait for events (epoll_create1)");
    spawn_closer_prepare();
    reserve_fill();
    return missing(watch(spawner.signals, ON_SIGNAL, EPOLLIN),
                   "wait for events (epoll_ctl)");
}

static void no_descriptors(void)
{
    size_t i;

    for (i = 0; i < sizeof(spawner.fds) / sizeof(spawner.fds[0]); i++)
        spawner.fds[i] = -1;
    spawner.control = spawner.adopter = spawner.link = spawner.notify = -1;
}

/* All but SIGCHLD are strays, and SIGTERM is systemd's to a service of its own.
 * Some at a time: a process that may signal us could send them without end. */
static void signals_input(void)
{
    static struct signalfd_siginfo some[64];
    ssize_t n = read(spawner.signals, some, sizeof(some));
    size_t i, count = n > 0 ? (size_t)n / sizeof(some[0]) : 0;

    for (i = 0; i < count; i++) {
        if (some[i].ssi_signo == SIGTERM && external_stop())
            broker_stop();
    }
    reap_some();
}

static void dispatch(const struct epoll_event *e)
{
    uint32_t index = (uint32_t)e->data.u64;
    job *j;

    switch (e->data.u64 & ~(uint64_t)UINT32_MAX) {
    case ON_SIGNAL:
        signals_input();
        break;
    case ON_CONTROL:
        parent_input();
        break;
    case ON_ADOPT:
        adopter_input();
        break;
    case ON_LISTEN:
        parent_accept();
        break;
    case ON_PARENT:
        if (spawner.fds[SPAWN_FD_PARENT] >= 0) /* else gone in this turn */
            parent_gone("its process has ended");
        break;
    case ON_LINK:
        orders_input();
        break;
    case ON_TEMPLATE:
        j = table_at(index);
        if (j->link >= 0)
            template_input(j);
        break;
    case ON_GONE:
        template_may_be_gone(table_at(index));
        break;
    case ON_START:
        job_progress(table_at(index));
        break;
    default:
        break;
    }
}

/* The sooner of two waits, in ms; below 0: none. */
static int sooner(int wait, int64_t other)
{
    return other >= 0 && (wait < 0 || other < wait) ? (int)other : wait;
}

/* Ms until a time, 0 when it has passed; -1 for no time (0). */
static int64_t until(int64_t at, int64_t now)
{
    return at == 0 ? -1 : at > now ? at - now : 0;
}

/* Ms until the next planned action; -1: none. */
static int next_deadline(void)
{
    int64_t now = spawn_mono_ms();
    int wait;

    if (until(spawner.broker_start_at, now) == 0)
        broker_start(); /* or it plans another try */
    wait = sooner(parent_timers(now), spawn_closer_tick(now));
    wait = sooner(wait, broker_timers(now));
    wait = sooner(wait, watchdog_timers(now));
    wait = sooner(wait, clone_timers(now));
    wait = sooner(wait, cgroup_timers(now));
    wait = sooner(wait, preload_timers(now));
    wait = sooner(wait, external_timers(now));
    wait = sooner(wait, notify_timers(now));
    wait = sooner(wait, relay_timers(now));
    spawn_log_counts(now);
    wait = sooner(wait, until(spawn_log_due(), now));
    return sooner(wait, until(spawner.broker_start_at, now));
}

static void loop(void)
{
    struct epoll_event events[64];

    for (;;) {
        int wait, n, i;

        if (spawner.exits_left)
            reap_some();
        clone_look();
        wait = next_deadline();
        if (spawner.exits_left)
            wait = 0;
        if (!tell_flush())
            wait = sooner(wait, TRY_AGAIN);
        n = epoll_wait(spawner.epoll, events,
                       sizeof(events) / sizeof(events[0]), wait);
        if (n < 0 && errno != EINTR)
            spawner_end(1, strerror(errno));
        for (i = 0; i < n; i++)
            dispatch(&events[i]);
    }
}

int main(int argc, char **argv)
{
    int rv;

    spawn_closer_name(argv[0]);
    spawn_packets_close_by(give_away);
    no_descriptors();
    rv = set_up();
    if (rv < 0)
        spawner_end(1, "it lacks what it needs; the line above says what");
    if (argc > 2) {
        rv = resume(atoi(argv[2]));
        if (rv < 0)
            spawner_end(1, "the state of the spawner before the upgrade "
                           "cannot be read");
        external_resume();
    }
    else if (external()) {
        rv = external_begin();
        if (rv < 0)
            spawner_end(1, "systemd has handed over no socket");
    }
    else {
        spawner.control = CONTROL_FD;
        rv = spawn_os_pass_credentials(CONTROL_FD);
        if (rv == 0)
            rv = watch(CONTROL_FD, ON_CONTROL, EPOLLIN);
        if (rv < 0)
            spawner_end(1, "it is started by httpd, not by hand");
    }
    loop();
}
