/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_tree.h for Linux. Runs in the spawner, and in templates that httpd has
 * forked. Must signal no number that may have been given away: only that of a
 * child of the caller, which nobody else reaps, or by a pidfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "common/spawn_numbers.h"
#include "common/spawn_process.h"
#include "common/spawn_tree.h"

#define ROUNDS 16
#define ROOM   2048

typedef struct {
    char state;
    pid_t parent, group, session;
} shown;

/* One look at all of them. */
typedef struct {
    const spawn_tree *tree;
    spawn_tree_found *found;
    pid_t pids[SPAWN_TREE_MOST];
    pid_t parents[SPAWN_TREE_MOST];
    unsigned count;
    bool top; /* the children of the caller are read, and some are others */
    pid_t parent;
    int error;
} look;

uint64_t spawn_tree_mark(const spawn_id *id, unsigned attempt)
{
    uint64_t random = 0;
    unsigned i;

    for (i = 8; i < SPAWN_ID_SIZE; i++)
        random = random << 8 | id->bytes[i];
    random &= (UINT64_C(1) << 62) - 1;
    return (UINT64_C(1) << 62) + (random ^ attempt);
}

static ssize_t read_of(pid_t pid, const char *what, char *text)
{
    char path[40];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, ROOM - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

/* The name may hold anything, ')' too. */
static bool look_at(pid_t pid, shown *ret)
{
    char text[ROOM];
    const char *p;
    int parent, group, session;
    char state;

    if (read_of(pid, "stat", text) <= 0 || !(p = strrchr(text, ')'))
        || sscanf(p + 1, " %c %d %d %d", &state, &parent, &group, &session)
               != 4)
        return false;
    *ret = (shown){state, (pid_t)parent, (pid_t)group, (pid_t)session};
    return true;
}

bool spawn_tree_has_mark(pid_t pid, uint64_t mark)
{
    static const char name[] = "\nMax realtime timeout";
    char text[ROOM];
    const char *line;

    if (read_of(pid, "limits", text) <= 0 || !(line = strstr(text, name)))
        return false;
    return strtoull(line + sizeof(name) - 1, NULL, 10) == mark;
}

static bool is_listed(const pid_t *pids, unsigned count, pid_t pid)
{
    while (count > 0) {
        if (pids[--count] == pid)
            return true;
    }
    return false;
}

/* A child of the caller that is the job's, or is reparented from below it. */
static bool is_ours(const spawn_tree *t, pid_t pid)
{
    shown s;

    if (pid == t->group || t->is_other(pid))
        return false;
    return spawn_tree_has_mark(pid, t->mark)
           || (t->leads && look_at(pid, &s) && s.session == t->group);
}

static void add(look *l, pid_t pid)
{
    if (is_listed(l->pids, l->count, pid) || (l->top && !is_ours(l->tree, pid)))
        return;
    if (l->count == SPAWN_TREE_MOST) {
        l->found->cut = true;
        return;
    }
    l->parents[l->count] = l->parent;
    l->pids[l->count++] = pid;
}

/* The children that one thread has made or been given. */
static bool add_children(int tid, int dir, void *arg)
{
    look *l = arg;
    char path[64], text[ROOM];
    size_t rest = 0;
    ssize_t n;
    int fd;

    (void)dir;
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
                   (int)l->parent, tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        l->error = -errno;
        return true;
    }
    while ((n = read(fd, text + rest, sizeof(text) - 1 - rest)) > 0) {
        char *at = text, *space;

        text[rest + (size_t)n] = '\0';
        for (; (space = strchr(at, ' ')); at = space + 1)
            add(l, (pid_t)strtol(at, NULL, 10));
        rest = strlen(at);
        memmove(text, at, rest);
    }
    (void)close(fd);
    return true;
}

static void add_below(look *l, pid_t pid)
{
    char path[40];

    l->parent = pid;
    l->top = pid == getpid();
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    (void)spawn_numbers(path, add_children, l);
}

/* All that there is now. Children of the caller come last: who loses its parent
 * meanwhile is found there. */
static int find_all(look *l)
{
    unsigned i = 0;

    l->count = 0;
    if (l->tree->leads)
        add_below(l, l->tree->group);
    while (i < l->count)
        add_below(l, l->pids[i++]);
    l->error = 0;
    add_below(l, getpid());
    if (l->error)
        return -EOPNOTSUPP;
    while (i < l->count)
        add_below(l, l->pids[i++]);
    return 0;
}

/* Its number is not given away while this parent has not reaped it, and not
 * given to the parent again. */
static bool is_pinned(const spawn_tree *t, pid_t parent)
{
    shown s;

    return (t->leads && parent == t->group)
           || (look_at(parent, &s) && s.parent == getpid());
}

static int send_by_pidfd(const spawn_tree *t, pid_t pid, pid_t parent,
                         int signo)
{
    int fd = spawn_os_pidfd(pid);
    int rv = -ESRCH;
    shown s;

    if (fd < 0)
        return fd;
    if (spawn_tree_has_mark(pid, t->mark)
        || (look_at(pid, &s) && s.parent == parent && is_pinned(t, parent)))
        rv =
            syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 ? -errno : 0;
    (void)close(fd);
    return rv;
}

static void send_to(const look *l, unsigned i, int signo)
{
    spawn_tree_found *f = l->found;
    shown s;
    int rv = 0;

    if (!look_at(l->pids[i], &s) || s.state == 'Z' || s.state == 'X'
        || (s.group == l->tree->group && s.session == s.group))
        return;
    if (s.parent == getpid() && !f->left)
        f->left = l->pids[i];
    if (l->parents[i] != getpid()) /* it may have gone since, number and all */
        rv = send_by_pidfd(l->tree, l->pids[i], l->parents[i], signo);
    else if (kill(l->pids[i], signo) < 0)
        rv = -errno;
    if (rv == 0)
        f->signalled++;
    else if (rv != -ESRCH && f->unreached++ == 0) {
        f->example = l->pids[i];
        f->error = -rv;
    }
}

int spawn_tree_signal(const spawn_tree *tree, int signo, spawn_tree_found *ret)
{
    pid_t sent[SPAWN_TREE_MOST];
    unsigned count = 0, before, rounds = signo == SIGKILL ? ROUNDS : 1, i;
    look l = {.tree = tree, .found = ret};
    int rv;

    memset(ret, 0, sizeof(*ret));
    do {
        before = count;
        rv = find_all(&l);
        for (i = 0; i < l.count && count < SPAWN_TREE_MOST; i++) {
            if (is_listed(sent, count, l.pids[i]))
                continue;
            sent[count++] = l.pids[i];
            send_to(&l, i, signo);
        }
    } while (count > before && --rounds > 0);
    return rv;
}
