/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One inotify, and which file is told of which directory. Runs in the broker.
 * Says only that a look is worth while: names and order of events are not kept.
 *
 * It may hold events, and watches, of a broker before this one. An event for
 * nobody is dropped; to watch a directory again gives the same number again.
 */
#include "broker/base/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>

#include "broker/base/loop.h"

#define WATCHES 8

typedef struct {
    int wd; /* 0: free; inotify counts from 1 */
    spawn_notify_fn to;
} entry;

static spawn_watch events = {.fd = -1};
static entry entries[WATCHES];

/* Functions of a number, each once. -1: events were lost, so all of them. */
static void tell(int wd)
{
    unsigned i, k;

    for (i = 0; i < WATCHES; i++) {
        bool again = false;

        if (!entries[i].wd || (wd >= 0 && entries[i].wd != wd))
            continue;
        for (k = 0; k < i; k++)
            again |= entries[k].to == entries[i].to
                     && (wd < 0 || entries[k].wd == wd);
        if (!again)
            entries[i].to();
    }
}

/* The kernel has taken the watch away, with the directory. */
static void gone(int wd)
{
    unsigned i;

    for (i = 0; i < WATCHES; i++) {
        if (entries[i].wd == wd)
            entries[i].wd = 0;
    }
}

static void ready(spawn_watch *w, int what)
{
    char room[4096] __attribute__((aligned(8)));
    ssize_t length;

    (void)what;
    while ((length = read(w->fd, room, sizeof(room))) > 0) {
        const char *at = room;

        while (at < room + length) {
            const struct inotify_event *e = (const void *)at;

            tell(e->wd);
            if (e->mask & IN_IGNORED)
                gone(e->wd);
            at += sizeof(*e) + e->len;
        }
    }
}

static bool is_inotify(int fd)
{
    char path[32], name[64];
    ssize_t length;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    length = readlink(path, name, sizeof(name) - 1);
    if (length < 0)
        return false;
    name[length] = '\0';
    return strcmp(name, "anon_inode:inotify") == 0;
}

void spawn_notify_take(int fd)
{
    if (events.fd < 0 && is_inotify(fd))
        (void)spawn_watch_open(&events, fd, SPAWN_IN, ready);
}

static int open_own(void)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    return fd < 0 ? -errno : spawn_watch_open(&events, fd, SPAWN_IN, ready);
}

int spawn_notify_watch(const char *path, uint32_t what, spawn_notify_fn to)
{
    unsigned i;
    int wd, rv;

    if (events.fd < 0) {
        rv = open_own();
        if (rv < 0)
            return rv;
    }
    for (i = 0; i < WATCHES && entries[i].wd; i++)
        continue;
    if (i == WATCHES)
        return -ENOSPC;
    /* another function may watch the same directory for other events */
    wd = inotify_add_watch(events.fd, path, what | IN_MASK_ADD);
    if (wd < 0)
        return -errno;
    entries[i] = (entry){.wd = wd, .to = to};
    return 0;
}

static bool is_watched(int wd)
{
    unsigned i;

    for (i = 0; i < WATCHES; i++) {
        if (entries[i].wd == wd)
            return true;
    }
    return false;
}

void spawn_notify_leave(spawn_notify_fn to)
{
    unsigned i;

    for (i = 0; i < WATCHES; i++) {
        int wd = entries[i].wd;

        if (!wd || entries[i].to != to)
            continue;
        entries[i].wd = 0;
        if (!is_watched(wd))
            (void)inotify_rm_watch(events.fd, wd);
    }
}
