/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories below the world's directory, in the simulated kernel
 * (kernel.h): the spool, and what marks a store. The directory itself is a real
 * one, as is each path that is not below it. The database is not here but in
 * disk.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/statvfs.h>

#include "t/simulation/body.h"
#include "t/simulation/files.h"
#include "t/simulation/kernel.h"
#include "t/simulation/world.h"

#define FILES     512
#define NAME_ROOM 80
#define DEVICE    0x5152

/* The names that --wrap gives. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_unlinkat(int at, const char *path, int flags);
int __wrap_unlinkat(int at, const char *path, int flags);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_renameat(int from_at, const char *from, int to_at, const char *to);
int __wrap_renameat(int from_at, const char *from, int to_at, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __real_posix_fallocate(int fd, off_t at, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t size);
int __real_statvfs(const char *path, struct statvfs *ret);
int __wrap_statvfs(const char *path, struct statvfs *ret);

struct node {
    char name[NAME_ROOM]; /* below the world's directory; "": it is removed */
    mode_t mode;
    unsigned uses; /* its name, and who has it open */
    uint64_t number;
    size_t size, room;
    uint8_t *data;
};

typedef struct {
    thing base;
    node *of;
    size_t at;
} opened;

static node nodes[FILES];
static unsigned nodes_used; /* none is in use from here on */
static uint64_t numbers;
static node root = {.mode = S_IFDIR | 0700, .uses = 1, .number = 1};

static opened *opened_of(thing *t)
{
    return (opened *)(void *)t;
}

/* ---- names ---- */

/* NULL: it is not below. */
static const char *below(const char *path)
{
    size_t length = strlen(world_dir);

    if (!length || strncmp(path, world_dir, length) != 0 || path[length] != '/')
        return NULL;
    return path + length + 1;
}

static node *find(const char *name)
{
    unsigned i;

    for (i = 0; i < nodes_used; i++) {
        if (nodes[i].name[0] == name[0] && strcmp(nodes[i].name, name) == 0)
            return &nodes[i];
    }
    return NULL;
}

node *file_at(const char *path)
{
    const char *name = below(path);

    if (!name)
        return strcmp(path, world_dir) == 0 ? &root : NULL;
    return *name ? find(name) : NULL;
}

/* "": the world's, which is not here. */
static size_t length_of_directory(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? (size_t)(slash - name) : 0;
}

static node *directory_of(const char *name)
{
    char dir[NAME_ROOM];
    size_t length = length_of_directory(name);

    if (length == 0)
        return &root;
    memcpy(dir, name, length);
    dir[length] = '\0';
    return find(dir);
}

static bool is_in(const node *dir, const node *of)
{
    size_t length = strlen(dir->name);

    if (!of->name[0] || of == dir)
        return false;
    return length_of_directory(of->name) == length
           && strncmp(of->name, dir->name, length) == 0;
}

static node *make(const char *name, mode_t mode)
{
    unsigned i;

    for (i = 0; i < FILES && nodes[i].uses; i++)
        continue;
    if (i == FILES || strlen(name) >= NAME_ROOM)
        thing_cannot("too many files, or one with a long name");
    if (nodes_used <= i)
        nodes_used = i + 1;
    nodes[i].mode = mode;
    nodes[i].uses = 1;
    nodes[i].number = ++numbers + root.number;
    nodes[i].size = 0;
    strcpy(nodes[i].name, name);
    return &nodes[i];
}

static void leave(node *n)
{
    if (--n->uses == 0)
        n->name[0] = '\0';
}

static int change(const char *name, uint32_t what)
{
    node *dir = directory_of(name);

    if (dir)
        notify_tell(dir, what);
    return 0;
}

static int remove_it(const char *name, bool is_directory)
{
    node *n = find(name);
    unsigned i;

    if (!n)
        return thing_error(ENOENT);
    if (S_ISDIR(n->mode) != is_directory)
        return thing_error(is_directory ? ENOTDIR : EISDIR);
    for (i = 0; i < nodes_used; i++) {
        if (is_directory && is_in(n, &nodes[i]))
            return thing_error(ENOTEMPTY);
    }
    if (is_directory)
        notify_gone(n);
    (void)change(name, IN_DELETE);
    n->name[0] = '\0';
    leave(n);
    return 0;
}

static int move(const char *from, const char *to)
{
    node *n = find(from), *there = find(to);

    if (!n || strlen(to) >= NAME_ROOM)
        return thing_error(ENOENT);
    if (there && there != n) {
        there->name[0] = '\0';
        leave(there);
    }
    (void)change(from, IN_MOVED_FROM);
    strcpy(n->name, to);
    return change(to, IN_MOVED_TO);
}

/* ---- an open file ---- */

static short ready(thing *t)
{
    (void)t;
    return POLLIN | POLLOUT;
}

static ssize_t read_at(const node *n, void *data, size_t room, size_t at)
{
    size_t got = at < n->size ? n->size - at : 0;

    if (got > room)
        got = room;
    if (got > 0)
        memcpy(data, n->data + at, got);
    return (ssize_t)got;
}

static void resize(node *n, size_t size)
{
    if (size > n->room) {
        uint8_t *data = body_world_malloc(2 * size);

        if (!data)
            abort();
        if (n->size)
            memcpy(data, n->data, n->size);
        body_world_free(n->data);
        n->data = data;
        n->room = 2 * size;
    }
    if (size > n->size)
        memset(n->data + n->size, 0, size - n->size);
    n->size = size;
}

static ssize_t write_at(node *n, const void *data, size_t length, size_t at)
{
    if (at + length > n->size)
        resize(n, at + length);
    memcpy(n->data + at, data, length);
    return (ssize_t)length;
}

static ssize_t read_there(thing *t, void *data, size_t room, size_t at)
{
    return read_at(opened_of(t)->of, data, room, at);
}

static ssize_t write_there(thing *t, const void *data, size_t length, size_t at)
{
    return write_at(opened_of(t)->of, data, length, at);
}

static int resize_it(thing *t, size_t size)
{
    resize(opened_of(t)->of, size);
    return 0;
}

static size_t *place(thing *t)
{
    return &opened_of(t)->at;
}

static void stat_it(thing *t, struct stat *ret)
{
    file_stat(opened_of(t)->of, ret);
}

static ssize_t read_on(thing *t, void *data, size_t room)
{
    ssize_t n = read_at(opened_of(t)->of, data, room, opened_of(t)->at);

    opened_of(t)->at += (size_t)n;
    return n;
}

static ssize_t write_on(thing *t, const void *data, size_t length)
{
    ssize_t n = write_at(opened_of(t)->of, data, length, opened_of(t)->at);

    opened_of(t)->at += (size_t)n;
    return n;
}

static void last_close(thing *t)
{
    leave(opened_of(t)->of);
    body_world_free(t);
}

static const thing_kind of_files = {.mode = S_IFREG | 0600,
                                    .ready = ready,
                                    .read = read_on,
                                    .write = write_on,
                                    .read_at = read_there,
                                    .write_at = write_there,
                                    .resize = resize_it,
                                    .place = place,
                                    .stat = stat_it,
                                    .last_close = last_close};

node *file_open(thing *t)
{
    return t->kind == &of_files ? opened_of(t)->of : NULL;
}

static int open_name(const char *name, int flags)
{
    node *n = find(name);
    opened *o;

    if (n && flags & O_CREAT && flags & O_EXCL)
        return thing_error(EEXIST);
    if (n && flags & O_DIRECTORY && !S_ISDIR(n->mode))
        return thing_error(ENOTDIR);
    if (!n && (!(flags & O_CREAT) || !directory_of(name)))
        return thing_error(ENOENT);
    if (!n)
        n = make(name, S_IFREG | 0600);
    if (flags & O_TRUNC)
        resize(n, 0);
    o = body_world_malloc(sizeof(*o));
    if (!o)
        abort();
    *o = (opened){.base = {.kind = &of_files, .uses = 1}, .of = n};
    n->uses++;
    return thing_number(&o->base);
}

void file_stat(const node *n, struct stat *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->st_dev = DEVICE;
    ret->st_ino = n->number;
    ret->st_mode = n->mode;
    ret->st_nlink = n->name[0] || n == &root;
    ret->st_size = (off_t)n->size;
    ret->st_uid = geteuid();
    ret->st_gid = getegid();
}

/* ---- the calls ---- */

int __wrap_open(const char *path, int flags, ...)
{
    const char *name = below(path);

    return name ? open_name(name, flags) : __real_open(path, flags, 0600);
}

/* The name of what is in an open directory. */
static const char *name_in(int at, const char *path, char *room)
{
    thing *t = thing_of(at);
    const node *dir = t ? file_open(t) : NULL;

    if (!dir)
        return NULL;
    if (strlen(dir->name) + strlen(path) + 2 > NAME_ROOM)
        thing_cannot("a file with a long name");
    strcpy(room, dir->name);
    strcat(room, "/");
    strcat(room, path);
    return room;
}

int __wrap_openat(int at, const char *path, int flags, ...)
{
    char room[NAME_ROOM];
    const char *name = name_in(at, path, room);

    return name ? open_name(name, flags) : __real_openat(at, path, flags, 0600);
}

int __wrap_access(const char *path, int mode)
{
    const char *name = below(path);

    if (!name)
        return __real_access(path, mode);
    return find(name) ? 0 : thing_error(ENOENT);
}

int __wrap_unlink(const char *path)
{
    const char *name = below(path);

    return name ? remove_it(name, false) : __real_unlink(path);
}

int __wrap_unlinkat(int at, const char *path, int flags)
{
    char room[NAME_ROOM];
    const char *name = name_in(at, path, room);

    return name ? remove_it(name, false) : __real_unlinkat(at, path, flags);
}

int __wrap_rename(const char *from, const char *to)
{
    return below(from) && below(to) ? move(below(from), below(to))
                                    : __real_rename(from, to);
}

int __wrap_renameat(int from_at, const char *from, int to_at, const char *to)
{
    char from_room[NAME_ROOM], to_room[NAME_ROOM];
    const char *from_name = name_in(from_at, from, from_room);
    const char *to_name = name_in(to_at, to, to_room);

    return from_name && to_name ? move(from_name, to_name)
                                : __real_renameat(from_at, from, to_at, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    const char *name = below(path);

    if (!name)
        return __real_mkdir(path, mode);
    if (find(name))
        return thing_error(EEXIST);
    (void)make(name, S_IFDIR | 0700);
    return 0;
}

int __wrap_rmdir(const char *path)
{
    const char *name = below(path);

    return name ? remove_it(name, true) : __real_rmdir(path);
}

int __wrap_posix_fallocate(int fd, off_t at, off_t size)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_posix_fallocate(fd, at, size);
    return 0; /* nobody reads what is there */
}

/* As that of the real directory was at first. */
int __wrap_statvfs(const char *path, struct statvfs *ret)
{
    static struct statvfs of_world;
    const char *name = below(path);

    if (!name && strcmp(path, world_dir) != 0)
        return __real_statvfs(path, ret);
    if (name && !find(name))
        return thing_error(ENOENT);
    if (!of_world.f_bsize && __real_statvfs(world_dir, &of_world) < 0)
        return -1;
    *ret = of_world;
    return 0;
}

bool file_truncate(const char *path, size_t size)
{
    node *n = file_at(path);

    if (n)
        resize(n, size);
    return n;
}

void file_make_socket(const char *path)
{
    const char *name = below(path);

    if (!name || find(name))
        thing_cannot("a socket has a strange place");
    (void)make(name, S_IFSOCK | 0777);
}

/* ---- what is in a directory ---- */

/* The newest first, as tmpfs does it. */
unsigned file_list(const node *dir, unsigned room, const char **ret)
{
    unsigned count = 0, i;
    uint64_t below_number = UINT64_MAX;

    while (count < room) {
        const node *newest = NULL;

        for (i = 0; i < nodes_used; i++) {
            if (is_in(dir, &nodes[i]) && nodes[i].number < below_number
                && (!newest || nodes[i].number > newest->number))
                newest = &nodes[i];
        }
        if (!newest)
            break;
        below_number = newest->number;
        ret[count++] = strrchr(newest->name, '/')
                           ? strrchr(newest->name, '/') + 1
                           : newest->name;
    }
    return count;
}
