/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to systemd from a spawner that is a service of its own: that it is
 * ready, that it lives, and, for people, whom it serves. A datagram to the
 * socket that NOTIFY_SOCKET names, as sd_notify(3) sends it: no library, since
 * the spawner has libc only. Runs in the spawner only. Must never block, and
 * nothing depends on whether it arrives.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "spawner/spawner.h"

/* 0 for no number. */
static long long number_of(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoll(text, NULL, 10) : 0;
}

/* The address that NOTIFY_SOCKET names: a path, or a name with @ before it. Its
 * length; 0: there is none. */
static socklen_t address_of(struct sockaddr_un *ret)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;

    if (length < 2 || length >= sizeof(ret->sun_path)
        || (path[0] != '/' && path[0] != '@'))
        return 0;
    ret->sun_family = AF_UNIX;
    memcpy(ret->sun_path, path, length);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void say(const char *text)
{
    struct sockaddr_un to;
    socklen_t length = address_of(&to);
    int fd;

    if (length == 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to,
                 length);
    (void)close(fd);
}

void notify_begin(void)
{
    long long pid = number_of("WATCHDOG_PID");

    if (pid == 0 || pid == getpid())
        spawner.systemd.sign_ms = number_of("WATCHDOG_USEC") / 1000 / 2;
}

void notify_status(const char *first, const char *text)
{
    char line[256];

    (void)snprintf(line, sizeof(line), "%sSTATUS=%s\n", first, text);
    say(line);
}

int notify_timers(int64_t now)
{
    if (spawner.systemd.sign_ms <= 0)
        return -1;
    if (now >= spawner.systemd.next_at) {
        say("WATCHDOG=1\n");
        spawner.systemd.next_at = now + spawner.systemd.sign_ms;
    }
    return (int)(spawner.systemd.next_at - now);
}
