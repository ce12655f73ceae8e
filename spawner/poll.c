/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that the spawner watches, and its end. Runs in the spawner
 * only. Must never block: the closer closes what came from outside.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/epoll.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "spawner/spawner.h"

int watch(int fd, uint64_t what, uint32_t events)
{
    struct epoll_event e;

    e.events = events;
    e.data.u64 = what;
    return epoll_ctl(spawner.epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void rewatch(int fd, uint64_t what, uint32_t events)
{
    struct epoll_event e;

    e.events = events;
    e.data.u64 = what;
    (void)epoll_ctl(spawner.epoll, EPOLL_CTL_MOD, fd, &e);
}

void unwatch(int *fd)
{
    (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, *fd, NULL);
    (void)close(*fd);
    *fd = -1;
}

void unwatch_passed(int *fd)
{
    if (*fd < 0)
        return;
    (void)epoll_ctl(spawner.epoll, EPOLL_CTL_DEL, *fd, NULL);
    spawn_closer_give_socket(*fd, 0);
    *fd = -1;
}

void give_away(int fd)
{
    spawn_closer_give(fd, 0);
}

void spawner_end(int code, const char *why)
{
    spawn_log_counts(INT64_MAX);
    if (code != 0)
        spawn_log(SPAWN_LOG_CRIT, MSNO(0302) "the spawner ends: %s", why);
    _exit(code);
}
