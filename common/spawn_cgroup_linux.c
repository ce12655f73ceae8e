/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_cgroup.h for Linux. Runs in the spawner, and in the httpd parent at its
 * start. Must take no directory of another file system for one of cgroup v2.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "common/spawn_cgroup.h"
#include "common/spawn_process.h"

#define CGROUP2_MAGIC 0x63677270
#define ROOM          4096
#define AT(NAME)      (SPAWN_RU_##NAME - SPAWN_RU_COUNT)

int spawn_cgroup_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    int rv = 0;

    if (fd < 0)
        return -errno;
    if (fstatfs(fd, &fs) < 0)
        rv = -errno;
    else if (fs.f_type != CGROUP2_MAGIC)
        rv = -EMEDIUMTYPE;
    if (rv == 0)
        return fd;
    (void)close(fd);
    return rv;
}

int spawn_cgroup_put(int dir, const char *file, const char *text)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
    int rv = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        rv = -errno;
    (void)close(fd);
    return rv;
}

/* Whole lines, as many as there is room for: a number that is cut is another
 * number. */
static int get(int dir, const char *file, char *text)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, text, ROOM - 1);
    (void)close(fd);
    if (n < 0)
        return -EIO;
    if (n == ROOM - 1) {
        while (n > 0 && text[n - 1] != '\n')
            n--;
    }
    text[n] = '\0';
    return 0;
}

/* Nothing but digits, up to the end of the line ("max" is none). */
static bool read_number(const char *text, unsigned long long *ret)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || (text[digits] && text[digits] != '\n'))
        return false;
    *ret = strtoull(text, NULL, 10);
    return true;
}

int spawn_cgroup_number(int dir, const char *file, const char *word,
                        unsigned long long *ret)
{
    size_t length = strlen(word);
    char text[ROOM], *line = text;
    int rv = get(dir, file, text);

    while (rv == 0 && line) {
        if (length == 0)
            return read_number(line, ret) ? 0 : -ENODATA;
        if (strncmp(line, word, length) == 0 && line[length] == ' ')
            return read_number(line + length + 1, ret) ? 0 : -ENODATA;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return rv ? rv : -ENODATA;
}

/* memory.events, and not memory.events.local: the events of a directory that a
 * job has made below its own are the job's, too. oom_kill counts each process,
 * also of those that are killed together (memory.oom.group), whatever had no
 * memory left: the job, a cgroup above it, or the machine. */
void spawn_cgroup_usage(int dir, uint64_t ret[SPAWN_RU_TREE_COUNT])
{
    static const struct {
        const char *file, *word;
        unsigned per; /* of what is told are one of ours */
    } from[SPAWN_RU_TREE_COUNT] = {
        [AT(TREE_UTIME_US)] = {"cpu.stat", "user_usec", 1},
        [AT(TREE_STIME_US)] = {"cpu.stat", "system_usec", 1},
        [AT(TREE_MEMORY_KB)] = {"memory.peak", "", 1024}, /* Linux 5.19 */
        [AT(OOM_KILLS)] = {"memory.events", "oom_kill", 1}};
    unsigned long long value;
    unsigned i;

    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++)
        ret[i] =
            spawn_cgroup_number(dir, from[i].file, from[i].word, &value) == 0
                ? value / from[i].per
                : SPAWN_RU_UNKNOWN;
}

/* Is this one of the words of the file? */
static bool has_word(int dir, const char *file, const char *word)
{
    char text[ROOM], *at = text, *rest = NULL;

    if (get(dir, file, text) < 0)
        return false;
    while ((at = strtok_r(at, " \n", &rest))) {
        if (strcmp(at, word) == 0)
            return true;
        at = NULL;
    }
    return false;
}

static const char *const controllers[] = {"memory", "cpu", "pids"};

#define CONTROLLERS (sizeof(controllers) / sizeof(controllers[0]))

unsigned spawn_cgroup_given(int dir)
{
    unsigned ret = 0, i;

    for (i = 0; i < CONTROLLERS; i++) {
        if (has_word(dir, "cgroup.subtree_control", controllers[i]))
            ret |= 1u << i;
    }
    return ret;
}

/* In a directory with processes the kernel refuses memory, and would take the
 * others: but then no process can be put below it (a threaded domain). */
unsigned spawn_cgroup_controllers(int dir)
{
    char text[16];
    unsigned i;
    int rv = 0;

    for (i = 0; i < CONTROLLERS && rv != -EBUSY; i++) {
        (void)snprintf(text, sizeof(text), "+%s", controllers[i]);
        rv = spawn_cgroup_put(dir, "cgroup.subtree_control", text);
    }
    return spawn_cgroup_given(dir);
}

/* The path of this process in the tree of cgroup v2. */
static int own_name(char *ret)
{
    FILE *in = fopen("/proc/self/cgroup", "re");
    int rv = -ENOENT;

    if (!in)
        return -errno;
    while (fgets(ret, ROOM, in)) {
        if (strncmp(ret, "0::/", 4) != 0)
            continue;
        memmove(ret, ret + 3, strlen(ret + 3) + 1);
        ret[strcspn(ret, "\n")] = '\0';
        rv = 0;
        break;
    }
    (void)fclose(in);
    return rv;
}

/* Is this directory of the tree, or one above it, the root of a mount? The part
 * of the path behind the root, or NULL. */
static const char *behind(const char *name, const char *root)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    return strncmp(name, root, length) == 0
                   && (name[length] == '/' || !name[length])
               ? name + length
               : NULL;
}

/* Where this directory of the tree is mounted. */
static int mounted(const char *name, char *path, size_t room)
{
    FILE *in = fopen("/proc/self/mountinfo", "re");
    char line[ROOM], root[ROOM], place[ROOM];
    int rv = -ENOENT;

    if (!in)
        return -errno;
    while (rv < 0 && fgets(line, sizeof(line), in)) {
        const char *rest;

        if (!strstr(line, " - cgroup2 ")
            || sscanf(line, "%*s %*s %*s %4095s %4095s", root, place) != 2
            || !(rest = behind(name, root)))
            continue;
        (void)snprintf(path, room, "%s%s", place, rest);
        rv = 0;
    }
    (void)fclose(in);
    return rv;
}

/* systemd marks what it has given away. */
static bool is_marked(const char *path)
{
    static const char *const names[] = {"user.delegate", "trusted.delegate"};
    unsigned i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char value;

        if (getxattr(path, names[i], &value, 1) == 1 && value == '1')
            return true;
    }
    return false;
}

static bool is_given(const char *path)
{
    char procs[2 * ROOM + 16];

    if (is_marked(path))
        return true;
    (void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
    return geteuid() != 0 && access(path, W_OK) == 0
           && access(procs, W_OK) == 0;
}

const char *spawn_cgroup_why_none(int error)
{
    return error == -ENOENT   ? "cgroup v2 is not mounted"
           : error == -EACCES ? "the cgroup that httpd was started in was not "
                                "given to it"
                              : strerror(-error);
}

/* ---- can it be used? ---- */

#define DEEPEST 64
#define LOOKS   100 /* at one directory; each sees some hundreds */

/* As the spawner may, which keeps no right of root's to pass over this. */
static bool may_write(int dir, const char *file)
{
    struct stat st;

    if (faccessat(dir, file, W_OK, AT_EACCESS) < 0
        || fstatat(dir, file, &st, 0) < 0)
        return false;
    return geteuid() != 0
           || (st.st_mode
               & (st.st_uid == 0   ? S_IWUSR
                  : st.st_gid == 0 ? S_IWGRP
                                   : S_IWOTH))
                  != 0;
}

static int open_above(int dir)
{
    struct statfs fs;
    int fd = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_MAGIC)) {
        (void)close(fd);
        return -1; /* above where it is mounted */
    }
    return fd;
}

/* The path of a directory from its own process's view. */
static int path_of(int dir, char *ret, size_t room)
{
    char link[32];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    n = readlink(link, ret, room - 1);
    if (n < 0)
        return -errno;
    ret[n] = '\0';
    return 0;
}

/* Is this directory the other one, or below it? */
static bool is_below(int dir, const struct stat *other)
{
    int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ret = false;
    struct stat st;
    int above, i;

    for (i = 0; at >= 0 && i < DEEPEST; i++) {
        ret = fstat(at, &st) == 0 && st.st_ino == other->st_ino
              && st.st_dev == other->st_dev;
        above = ret ? -1 : open_above(at);
        (void)close(at);
        at = above;
    }
    if (at >= 0)
        (void)close(at);
    return ret;
}

/* The lowest directory with both below it, as a descriptor; or -1. Takes the
 * first one over. */
static int common(int at, int other)
{
    struct stat st;
    int above, i;

    for (i = 0; at >= 0 && i < DEEPEST; i++) {
        if (fstat(at, &st) == 0 && is_below(other, &st))
            return at;
        above = open_above(at);
        (void)close(at);
        at = above;
    }
    if (at >= 0)
        (void)close(at);
    return -1;
}

int spawn_cgroup_holds(int dir, char *ret, size_t room)
{
    char name[ROOM], path[2 * ROOM];
    int at, rv = 0;

    if (!may_write(dir, "."))
        return -EACCES;
    if (own_name(name) < 0 || mounted(name, path, sizeof(path)) < 0)
        return 0;
    at = common(spawn_cgroup_open(path), dir);
    if (at < 0)
        return 0;
    if (!may_write(at, "cgroup.procs") && path_of(at, ret, room) == 0)
        rv = -EPERM;
    (void)close(at);
    return rv;
}

/* Were we its parent, or above? Sessions and groups do not tell: the spawner
 * has its own, and the process that started us may have ours. */
static bool is_ours(pid_t pid)
{
    unsigned i;

    for (i = 0; i < DEEPEST && pid > 0; i++) {
        if (pid == getpid())
            return true;
        if (spawn_os_parent(pid, &pid) < 0)
            return false;
    }
    return false;
}

/* One look at the processes in a directory, and go. How many have gone; *left:
 * the first that has not, or 0: none, or one of another pid namespace, whose
 * number is 0 here. To move that would move us. */
static unsigned go_from(int dir, const char *procs, int *left)
{
    char path[ROOM], text[16], *rest;
    bool all = path_of(dir, path, sizeof(path)) == 0 && is_marked(path);
    const char *at = procs;
    unsigned gone = 0;

    for (*left = 0; *at; at = rest + (*rest == '\n')) {
        long pid = strtol(at, &rest, 10);

        if (rest == at)
            break;
        (void)snprintf(text, sizeof(text), "%ld", pid);
        if (pid > 0 && (all || is_ours((pid_t)pid))
            && spawn_cgroup_put(dir, SPAWN_CGROUP_SELF "/cgroup.procs", text)
                   == 0)
            gone++;
        else if (!*left)
            *left = (int)pid;
    }
    return gone;
}

int spawn_cgroup_step_aside(int dir)
{
    char procs[ROOM];
    unsigned gone, looks = 0;
    int left = 0, rv;

    if (mkdirat(dir, SPAWN_CGROUP_SELF, 0755) < 0 && errno != EEXIST)
        return -errno;
    do { /* again, for what was forked meanwhile, and for a long list */
        rv = get(dir, "cgroup.procs", procs);
        gone = rv < 0 ? 0 : go_from(dir, procs, &left);
    } while (gone && ++looks < LOOKS);
    return rv < 0 ? rv : left;
}

bool spawn_cgroup_is_empty(int dir)
{
    char procs[ROOM] = "";

    return get(dir, "cgroup.procs", procs) == 0 && procs[0] == '\0';
}

int spawn_cgroup_own(char *ret, size_t room)
{
    static const char self[] = "/" SPAWN_CGROUP_SELF;
    char name[ROOM] = "", path[2 * ROOM];
    size_t length;
    int rv = own_name(name);

    if (rv == 0)
        rv = mounted(name, path, sizeof(path));
    if (rv < 0)
        return rv;
    length = strlen(path);
    if (length >= sizeof(self)
        && strcmp(path + length - (sizeof(self) - 1), self) == 0)
        path[length - (sizeof(self) - 1)] = '\0';
    if (!is_given(path))
        return -EACCES;
    if (strlen(path) >= room)
        return -ENAMETOOLONG;
    (void)strcpy(ret, path);
    return 0;
}
