/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify and readdir(3) of the simulated kernel (kernel.h): one inotify, and
 * directories of the world.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>

#include "t/simulation/body.h"
#include "t/simulation/files.h"
#include "t/simulation/kernel.h"

#define WATCHES   16
#define EVENTS    256
#define LIST_ROOM 512

/* The names that --wrap gives. */
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char *path, uint32_t what);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t what);
int __real_inotify_rm_watch(int fd, int wd);
int __wrap_inotify_rm_watch(int fd, int wd);
ssize_t __real_readlink(const char *path, char *ret, size_t room);
ssize_t __wrap_readlink(const char *path, char *ret, size_t room);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
void __real_rewinddir(DIR *dir);
void __wrap_rewinddir(DIR *dir);
int __real_closedir(DIR *dir);
int __wrap_closedir(DIR *dir);

/* ---- inotify ---- */

static struct {
    const node *of; /* NULL: it is unused */
    int number;
    uint32_t what;
} watches[WATCHES];
static int last_number;

static struct inotify_event events[EVENTS];
static unsigned first, count;

static void put(int number, uint32_t what)
{
    struct inotify_event *last = &events[(first + count - 1) % EVENTS];

    if (count > 0 && last->wd == number && last->mask == what)
        return; /* as the kernel: twice the same is once */
    if (count == EVENTS)
        thing_cannot("too many events");
    events[(first + count++) % EVENTS] =
        (struct inotify_event){.wd = number, .mask = what};
}

void notify_tell(const node *dir, uint32_t what)
{
    unsigned i;

    for (i = 0; i < WATCHES; i++) {
        if (watches[i].of == dir && watches[i].what & what)
            put(watches[i].number, what);
    }
}

static void take_away(unsigned i)
{
    put(watches[i].number, IN_IGNORED);
    watches[i].of = NULL;
}

void notify_gone(const node *dir)
{
    unsigned i;

    notify_tell(dir, IN_DELETE_SELF);
    for (i = 0; i < WATCHES; i++) {
        if (watches[i].of == dir)
            take_away(i);
    }
}

void notify_forget(void)
{
    memset(watches, 0, sizeof(watches));
    last_number = 0;
    first = count = 0;
}

static short ready(thing *t)
{
    (void)t;
    return count > 0 ? POLLIN : 0;
}

static ssize_t read_events(thing *t, void *data, size_t room)
{
    size_t got = 0;

    (void)t;
    if (count == 0)
        return thing_error(EAGAIN);
    while (count > 0 && got + sizeof(events[0]) <= room) {
        memcpy((uint8_t *)data + got, &events[first], sizeof(events[0]));
        got += sizeof(events[0]);
        first = (first + 1) % EVENTS;
        count--;
    }
    return (ssize_t)got;
}

static void last_close(thing *t)
{
    (void)t;
    thing_cannot("the world's inotify is closed");
}

static const thing_kind of_events = {
    .ready = ready, .read = read_events, .last_close = last_close};
static thing inotify = {.kind = &of_events};

int __wrap_inotify_init1(int flags)
{
    (void)flags;
    if (inotify.uses > 0)
        thing_cannot("a second inotify is opened");
    thing_use(&inotify);
    return thing_number(&inotify);
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t what)
{
    const node *n = file_at(path);
    unsigned i, free_one = WATCHES;

    if (!thing_like(fd, &of_events))
        return __real_inotify_add_watch(fd, path, what);
    if (!n)
        return thing_error(ENOENT);
    for (i = 0; i < WATCHES && watches[i].of != n; i++) {
        if (!watches[i].of)
            free_one = i;
    }
    if (i == WATCHES) {
        i = free_one;
        if (i == WATCHES)
            thing_cannot("too many watches");
        watches[i].number = ++last_number;
        watches[i].what = 0;
        watches[i].of = n;
    }
    watches[i].what |= what & IN_ALL_EVENTS;
    return watches[i].number;
}

int __wrap_inotify_rm_watch(int fd, int wd)
{
    unsigned i;

    if (!thing_like(fd, &of_events))
        return __real_inotify_rm_watch(fd, wd);
    for (i = 0; i < WATCHES; i++) {
        if (watches[i].of && watches[i].number == wd) {
            take_away(i);
            return 0;
        }
    }
    return thing_error(EINVAL);
}

/* The name of a descriptor. */
ssize_t __wrap_readlink(const char *path, char *ret, size_t room)
{
    static const char name[] = "anon_inode:inotify";
    int fd;

    if (sscanf(path, "/proc/self/fd/%d", &fd) != 1 || !thing_of(fd))
        return __real_readlink(path, ret, room);
    if (!thing_like(fd, &of_events) || room < sizeof(name))
        return thing_error(ENOENT);
    memcpy(ret, name, sizeof(name));
    return sizeof(name) - 1;
}

/* ---- directories ---- */

/* In the place of a DIR. */
typedef struct {
    bool used;
    int fd; /* -1: it is the world's own */
    const node *of;
    bool listed;
    unsigned at, names_count;
    char names[LIST_ROOM][80];
    struct dirent entry;
} list;

static list lists[2]; /* of world and broker */

static list *list_of(DIR *dir)
{
    list *l = (list *)(void *)dir;

    return l == &lists[0] || l == &lists[1] ? l : NULL;
}

static DIR *open_list(const node *n, int fd)
{
    list *l = &lists[body_at_work()];

    if (l->used)
        thing_cannot("two directories are open");
    l->used = true;
    l->fd = fd;
    l->of = n;
    l->listed = false;
    return (DIR *)(void *)l;
}

DIR *__wrap_fdopendir(int fd)
{
    thing *t = thing_of(fd);

    return t ? open_list(file_open(t), fd) : __real_fdopendir(fd);
}

DIR *__wrap_opendir(const char *path)
{
    const node *n = file_at(path);

    return n ? open_list(n, -1) : __real_opendir(path);
}

static void read_all(list *l)
{
    const char *names[LIST_ROOM];
    unsigned i;

    l->names_count = file_list(l->of, LIST_ROOM, names);
    for (i = 0; i < l->names_count; i++)
        (void)snprintf(l->names[i], sizeof(l->names[i]), "%s", names[i]);
    l->at = 0;
    l->listed = true;
}

struct dirent *__wrap_readdir(DIR *dir)
{
    list *l = list_of(dir);

    if (!l)
        return __real_readdir(dir);
    if (!l->listed)
        read_all(l);
    if (l->at == l->names_count)
        return NULL;
    (void)snprintf(l->entry.d_name, sizeof(l->entry.d_name), "%s",
                   l->names[l->at++]);
    return &l->entry;
}

void __wrap_rewinddir(DIR *dir)
{
    list *l = list_of(dir);

    if (!l)
        __real_rewinddir(dir);
    else
        l->listed = false;
}

int __wrap_closedir(DIR *dir)
{
    list *l = list_of(dir);

    if (!l)
        return __real_closedir(dir);
    l->used = false;
    if (l->fd >= 0)
        (void)close(l->fd);
    return 0;
}

void directories_close(void)
{
    lists[1].used = false;
}
