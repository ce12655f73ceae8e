/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big answers that lie in callers' sockets. Runs in the broker. Must not wait
 * for a caller.
 *
 * The kernel tells of a socket how much of its memory has what was sent and is
 * not read yet, and that is nothing, too, when the other end has closed. Small
 * answers may lie there behind the big one: what they take is not its own, and
 * what comes first is read first. An answer that a caller has read is its own:
 * the kernel does not tell how long it keeps the memfd.
 */
#include "broker/caller/unread.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "common/spawn_closer.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/timer.h"

#define LOOK_AGAIN 500 /* ms, at those whose connections are closed */

struct spawn_unread {
    spawn_unread *next;
    int fd;
    uid_t uid;
    size_t bytes;
    int behind; /* of the socket's memory, at least: what was sent after it */
    bool counts;
    bool waits; /* not in the socket yet */
    bool left;  /* its connection is closed, and fd is ours */
};

static spawn_unread *all;
static spawn_timer timer;

spawn_unread *spawn_unread_add(int fd, uid_t uid, bool counts, size_t bytes)
{
    spawn_unread *u = spawn_alloc(sizeof(*u));

    u->fd = fd;
    u->uid = uid;
    u->bytes = bytes;
    u->counts = counts;
    u->next = all;
    all = u;
    return u;
}

void spawn_unread_waits(spawn_unread *u, bool waits)
{
    u->waits = waits;
    u->behind = 0;
}

int spawn_unread_memory(const spawn_unread *u)
{
    int left = 0;

    return ioctl(u->fd, SIOCOUTQ, &left) < 0 ? 0 : left;
}

/* If the caller reads meanwhile, the difference is too small; then the big
 * answer counts a little longer, until the small ones are read. */
void spawn_unread_behind(spawn_unread *u, int before)
{
    int now = spawn_unread_memory(u);

    if (!u->waits && now > before)
        u->behind += now - before;
}

static bool is_read(const spawn_unread *u)
{
    return !u->waits && spawn_unread_memory(u) <= u->behind;
}

static void drop(spawn_unread *u)
{
    spawn_unread **at = &all;

    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    if (u->left)
        spawn_closer_give_socket(u->fd, u->uid);
    free(u);
}

bool spawn_unread_is_read(spawn_unread *u)
{
    if (!is_read(u))
        return false;
    drop(u);
    return true;
}

bool spawn_unread_too_many(uid_t uid)
{
    const spawn_unread *u;
    unsigned count = 0;
    size_t bytes = 0;

    for (u = all; u; u = u->next) {
        if (!u->counts || u->uid != uid || is_read(u))
            continue;
        count++;
        bytes += u->bytes;
    }
    return count >= SPAWN_UNREAD_MAX || bytes >= SPAWN_UNREAD_BYTES;
}

static void look(spawn_timer *t)
{
    spawn_unread *u = all, *next;
    bool more = false;

    for (; u; u = next) {
        next = u->next;
        if (u->left && !spawn_unread_is_read(u))
            more = true;
    }
    if (more)
        spawn_timer_set(t, spawn_mono_ms() + LOOK_AGAIN);
}

/* Nothing more goes through it: the other end has what was sent, and then reads
 * the end. */
void spawn_unread_leave(spawn_unread *u)
{
    int fd;

    u->waits = false;
    if (!u->counts || is_read(u)
        || (fd = fcntl(u->fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        drop(u);
        return;
    }
    (void)shutdown(fd, SHUT_RDWR);
    u->fd = fd;
    u->left = true;
    timer.fire = look;
    if (!timer.place)
        spawn_timer_set(&timer, spawn_mono_ms() + LOOK_AGAIN);
}
