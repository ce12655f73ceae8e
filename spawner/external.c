/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spawner that httpd has not started: a service of systemd, which hands over
 * the control socket and has started it since somebody connects there
 * (docs/systemd.md). It begins with nothing, says so to the httpd that adopts
 * it, and is then like any other. Runs in the spawner only. Must end when
 * nobody comes, so that nothing is left of a connection that meant nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/epoll.h>

#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "spawner/spawner.h"

#define LISTEN_FD 3     /* the first that systemd passes: sd_listen_fds(3) */
#define NOBODY_MS 30000 /* without an httpd, before the first one */

bool external(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    return pid && count && atol(pid) == (long)getpid() && atol(count) == 1;
}

void external_resume(void)
{
    if (!external())
        return;
    spawner.external.since = spawn_mono_ms();
    notify_begin();
}

int external_begin(void)
{
    int rv = spawn_os_pass_credentials(LISTEN_FD);

    if (rv < 0)
        return rv;
    external_resume();
    spawner.lingering = true; /* it may be adopted */
    spawner.fds[SPAWN_FD_CONTROL] = LISTEN_FD;
    rv = watch(LISTEN_FD, ON_LISTEN, EPOLLIN);
    if (rv == 0)
        notify_status("READY=1\n", "waits for httpd");
    return rv;
}

bool external_is_empty(void)
{
    return spawner.external.since && !spawner.config;
}

void external_send_empty(int sock)
{
    uint8_t buffer[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_EMPTY, 0);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    control_send(sock, &w, NULL, 0);
}

void external_tell(void)
{
    char text[80];

    if (!spawner.external.since)
        return;
    if (spawner.lingering)
        (void)snprintf(text, sizeof(text), "httpd has gone; %u jobs run",
                       table_jobs());
    else
        (void)snprintf(text, sizeof(text), "serves httpd (pid %d)",
                       (int)spawner.parent_pid);
    notify_status("", text);
}

bool external_stop(void)
{
    if (!spawner.external.since || spawner.external.stopping)
        return false;
    spawner.external.stopping = true;
    notify_status("STOPPING=1\n", "stores what it has; jobs run on");
    /* a process that connects from now on waits for the next one */
    rewatch(spawner.fds[SPAWN_FD_CONTROL], ON_LISTEN, 0);
    unwatch(&spawner.adopter);
    unwatch_passed(&spawner.control);
    /* no event of it: it is asked at the end whether it has gone */
    (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, spawner.fds[SPAWN_FD_PARENT],
                    NULL);
    return true;
}

bool external_stops(void)
{
    return spawner.external.stopping;
}

int external_timers(int64_t now)
{
    if (!external_is_empty() || spawner.control >= 0)
        return -1;
    if (now - spawner.external.since >= NOBODY_MS)
        spawner_end(0, "");
    return (int)(spawner.external.since + NOBODY_MS - now);
}
