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

#define ROUNDS     16
#define ROOM       2048
#define REMEMBERED 4096

typedef struct {
    char state;
    pid_t parent, group, session;
    int threads;
} shown;

/* The values that were read of a child of the caller. */
typedef struct {
    pid_t pid; /* 0: nothing was */
    pid_t session;
    uint64_t mark;
} known;

/* To read it takes 40 us, and daemons that jobs have left live for long. By
 * number; the next one takes the place. */
static known remembered[REMEMBERED];

/* One look at all of them, or for one. */
typedef struct {
    const spawn_tree *tree;
    spawn_tree_found *found;
    pid_t pids[SPAWN_TREE_MOST];
    pid_t parents[SPAWN_TREE_MOST];
    unsigned count;
    bool one; /* one child of the caller is enough */
    bool top; /* the children of the caller are read, and some are others */
    pid_t parent;
    int error; /* the first one: it may not have seen all */
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

/* 0 or a negative errno; -ESRCH: it has ended. */
static int read_of(pid_t pid, const char *what, char *text)
{
    char path[40];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, ROOM - 1);
    (void)close(fd);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    return 0;
}

/* The name may hold anything, ')' too. */
static int look_at(pid_t pid, shown *ret)
{
    int rv, parent, group, session, threads;
    char text[ROOM], state;
    const char *p;

    rv = read_of(pid, "stat", text);
    if (rv < 0)
        return rv;
    p = strrchr(text, ')');
    if (!p
        || sscanf(p + 1,
                  " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d"
                  " %*d %*d %d",
                  &state, &parent, &group, &session, &threads)
               != 5)
        return -ESRCH;
    *ret = (shown){state, (pid_t)parent, (pid_t)group, (pid_t)session, threads};
    return 0;
}

static int mark_of(pid_t pid, uint64_t *ret)
{
    static const char name[] = "\nMax realtime timeout";
    char text[ROOM];
    const char *line;
    int rv = read_of(pid, "limits", text);

    if (rv < 0)
        return rv;
    line = strstr(text, name);
    *ret = line ? strtoull(line + sizeof(name) - 1, NULL, 10) : 0;
    return 0;
}

bool spawn_tree_has_mark(pid_t pid, uint64_t mark)
{
    uint64_t its;

    return mark_of(pid, &its) == 0 && its == mark;
}

/* ---- what is known ---- */

static int know(pid_t pid, known *ret)
{
    uint64_t mark = 0;
    shown s;
    int rv = mark_of(pid, &mark);

    if (rv == 0)
        rv = look_at(pid, &s);
    if (rv == 0)
        *ret = (known){pid, s.session, mark};
    return rv;
}

/* Of a child of the caller. 0 or a negative errno. */
static int known_of(const spawn_tree *t, pid_t pid, known *ret)
{
    known *place = &remembered[(unsigned)pid % REMEMBERED];
    int rv = 0;

    if (!t->remembers)
        return know(pid, ret);
    if (place->pid != pid)
        rv = know(pid, place);
    if (rv == 0)
        *ret = *place;
    return rv;
}

void spawn_tree_reaped(pid_t pid)
{
    known *place = &remembered[(unsigned)pid % REMEMBERED];

    if (place->pid == pid)
        place->pid = 0;
}

/* ---- what is looked for ---- */

static pid_t parent_of(const spawn_tree *t)
{
    return t->parent ? t->parent : getpid();
}

/* A process that has gone meanwhile is not missed. */
static void failed(look *l, int error)
{
    if (!l->error && error != -ESRCH)
        l->error = error;
}

static bool is_listed(const pid_t *pids, unsigned count, pid_t pid)
{
    while (count > 0) {
        if (pids[--count] == pid)
            return true;
    }
    return false;
}

static bool is_stranger(const spawn_tree *t, pid_t pid)
{
    uid_t uid;

    return t->is_stranger && spawn_os_real_uid(pid, &uid) == 0
           && t->is_stranger(uid);
}

/* Is this child of the caller a process of the job, or reparented from below
 * it? A process that was in the job's session may have left it, and its number
 * may have another process by now. */
static bool is_ours(look *l, pid_t pid)
{
    const spawn_tree *t = l->tree;
    known k = {0};
    shown s;
    int rv;

    if (pid == t->group || t->is_other(pid))
        return false;
    rv = known_of(t, pid, &k);
    if (rv < 0) {
        failed(l, rv);
        return false;
    }
    if (k.mark == t->mark && !is_stranger(t, pid))
        return true;
    return t->leads && k.session == t->group && look_at(pid, &s) == 0
           && s.session == t->group;
}

/* With all of its threads: the state is that of the first one. */
static bool has_ended(const shown *s)
{
    return (s->state == 'Z' && s->threads <= 1) || s->state == 'X';
}

/* It lives, and signals for the group do not reach it. */
static bool is_outside(look *l, pid_t pid, shown *ret)
{
    int rv = look_at(pid, ret);

    if (rv < 0)
        failed(l, rv);
    return rv == 0 && !has_ended(ret)
           && (ret->group != l->tree->group || ret->session != ret->group);
}

static void add(look *l, pid_t pid)
{
    shown s;

    if (is_listed(l->pids, l->count, pid) || (l->top && !is_ours(l, pid))
        || (l->one && !is_outside(l, pid, &s)))
        return;
    if (l->count == SPAWN_TREE_MOST) {
        l->found->cut = true;
        return;
    }
    l->parents[l->count] = l->parent;
    l->pids[l->count++] = pid;
}

static bool is_enough(const look *l)
{
    return l->one && l->count > 0;
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
        failed(l, errno != ENOENT ? -errno : l->top ? -EOPNOTSUPP : -ESRCH);
        return true;
    }
    while (!is_enough(l)
           && (n = read(fd, text + rest, sizeof(text) - 1 - rest)) > 0) {
        char *at = text, *space;

        text[rest + (size_t)n] = '\0';
        for (; !is_enough(l) && (space = strchr(at, ' ')); at = space + 1)
            add(l, (pid_t)strtol(at, NULL, 10));
        rest = strlen(at);
        memmove(text, at, rest);
    }
    (void)close(fd);
    return !is_enough(l);
}

static void add_below(look *l, pid_t pid)
{
    char path[40];
    int rv;

    l->parent = pid;
    l->top = pid == parent_of(l->tree);
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    rv = spawn_numbers(path, add_children, l);
    if (rv < 0)
        failed(l, rv == -ENOENT ? -ESRCH : rv);
}

/* All that there is now. Children of the caller come last: a process that loses
 * its parent meanwhile is found there. */
static void find_all(look *l)
{
    unsigned i = 0;

    l->count = 0;
    if (l->tree->leads)
        add_below(l, l->tree->group);
    while (i < l->count)
        add_below(l, l->pids[i++]);
    add_below(l, parent_of(l->tree));
    while (i < l->count)
        add_below(l, l->pids[i++]);
}

/* Its number is not given away while this parent has not reaped it, and not
 * given to the parent again. */
static bool is_pinned(const spawn_tree *t, pid_t parent)
{
    shown s;

    return (t->leads && parent == t->group)
           || (look_at(parent, &s) == 0 && s.parent == getpid());
}

static int send_by(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno
                                                                     : 0;
}

/* Without a mark. In another parent's place only the leader is held, so that
 * its number was the leader's when it was seen, if it still is. */
static bool is_below(const spawn_tree *t, pid_t pid, pid_t parent)
{
    shown s;

    if (look_at(pid, &s) < 0)
        return false;
    if (!t->parent)
        return s.parent == parent && is_pinned(t, parent);
    return (s.session == t->group || s.parent == t->group)
           && spawn_os_pidfd_there(t->leader);
}

static int send_by_pidfd(const spawn_tree *t, pid_t pid, pid_t parent,
                         int signo)
{
    int fd = spawn_os_pidfd(pid);
    int rv = -ESRCH;

    if (fd < 0)
        return fd;
    if (spawn_tree_has_mark(pid, t->mark) || is_below(t, pid, parent))
        rv = send_by(fd, signo);
    (void)close(fd);
    return rv;
}

static void send_to(look *l, unsigned i, int signo)
{
    spawn_tree_found *f = l->found;
    shown s;
    int rv = 0;

    if (!is_outside(l, l->pids[i], &s))
        return;
    /* another one's child may have gone since, number and all */
    if (l->tree->parent || l->parents[i] != getpid())
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

    memset(ret, 0, sizeof(*ret));
    do {
        before = count;
        find_all(&l);
        for (i = 0; i < l.count && count < SPAWN_TREE_MOST; i++) {
            if (is_listed(sent, count, l.pids[i]))
                continue;
            sent[count++] = l.pids[i];
            send_to(&l, i, signo);
        }
    } while (count > before && --rounds > 0);
    return l.error;
}

pid_t spawn_tree_left(const spawn_tree *tree)
{
    look l = {.tree = tree, .one = true};

    add_below(&l, parent_of(tree));
    return l.count ? l.pids[0] : l.error;
}

/* All its children are looked at, of any job and any account. */
int64_t spawn_tree_cpu_ms(pid_t pid)
{
    const spawn_tree tree = {.parent = -1};
    spawn_tree_found found = {0};
    look l = {.tree = &tree, .found = &found, .pids = {pid}, .count = 1};
    int64_t sum = 0, cpu;
    unsigned i;
    char state;

    for (i = 0; i < l.count; i++) {
        if (spawn_os_state(l.pids[i], &state, &cpu) == 0)
            sum += cpu;
        else if (i == 0)
            return -1;
        add_below(&l, l.pids[i]);
    }
    return sum;
}
