/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a template that httpd forked from itself. Such a template is httpd's
 * child, so its jobs cannot be the spawner's children: they are its own. It
 * reaps them and tells the spawner, and signals them when the spawner says so
 * (no other process may: only their parent knows that a number is still
 * theirs).
 *
 * Runs in such a template only. Must allocate no more than a few bytes for each
 * job that lives.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_tree.h"
#include "perl/xs/template/template.h"

typedef struct {
    spawn_id id;
    pid_t pid;
    uint64_t mark;   /* of its processes: spawn_tree.h */
    unsigned left;   /* SPAWN_LEFT_: of its group when it ends */
    bool stays;      /* a worker */
    pid_t outside;   /* leaderless: a child of ours outside of its group; 0 */
    bool leaderless; /* its leader has ended, others have their grace */
    int group;       /* leaderless: its pidfd, or -1 */
    int status;      /* leaderless */
    struct rusage usage;
} child;

static child *children;
static unsigned used, room;
static int ended_fd = -1;

int spawn_template_parent_begin(void)
{
    sigset_t ended;
    int rv = spawn_os_subreaper();

    if (rv < 0)
        return rv;
    (void)sigemptyset(&ended);
    (void)sigaddset(&ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ended, NULL);
    ended_fd = signalfd(-1, &ended, SFD_NONBLOCK | SFD_CLOEXEC);
    return ended_fd < 0 ? -errno : ended_fd;
}

int spawn_template_child_room(void)
{
    unsigned more = room ? room * 2 : 64;
    child *grown;

    if (used < room)
        return 0;
    grown = realloc(children, more * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    children = grown;
    room = more;
    return 0;
}

void spawn_template_child_add(const spawn_id *id, unsigned attempt, pid_t pid,
                              bool kill_left, bool stays)
{
    child *c = &children[used++];

    memset(c, 0, sizeof(*c));
    c->id = *id;
    c->mark = spawn_tree_mark(id, attempt);
    c->pid = pid;
    c->stays = stays;
    c->group = -1;
    c->left = kill_left ? SPAWN_LEFT_KILL : SPAWN_LEFT_ALONE;
}

static child *by_pid(pid_t pid)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (children[i].pid == pid && !children[i].leaderless)
            return &children[i];
    }
    return NULL;
}

static bool is_other(pid_t pid)
{
    return by_pid(pid) != NULL;
}

/* Its processes outside of its group. The look at one is not remembered: code
 * of the site may reap it. */
static spawn_tree tree_of(const child *c)
{
    return (spawn_tree){.mark = c->mark,
                        .group = c->pid,
                        .leads = by_pid(c->pid) == c,
                        .is_other = is_other};
}

static void signal_tree(const child *c, int signo)
{
    const spawn_tree tree = tree_of(c);
    spawn_tree_found found;

    (void)spawn_tree_signal(&tree, signo, &found);
}

static void drop(child *c)
{
    if (c->group >= 0)
        (void)close(c->group);
    *c = children[--used];
}

static void tell(int link, child *c)
{
    (void)spawn_template_tell_exited(link, &c->id, c->pid, c->status,
                                     &c->usage);
    drop(c);
}

/* Of one that is leaderless. */
static bool rest_lives(child *c)
{
    if (spawn_os_group_lives(c->pid))
        return true;
    if (!c->outside) {
        const spawn_tree tree = tree_of(c);
        pid_t left = spawn_tree_left(&tree);

        c->outside = left > 0 ? left : 0;
    }
    return c->outside != 0;
}

/* This one of our children is about to be reaped. */
static void lose(pid_t pid)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (children[i].outside == pid)
            children[i].outside = 0;
    }
}

static void reap(int link, pid_t pid)
{
    child *c = by_pid(pid);
    struct rusage usage;
    int status, group = -1;

    /* while the dead leader still pins the number of its group */
    if (c && c->left == SPAWN_LEFT_KILL) {
        (void)kill(-pid, SIGKILL);
        signal_tree(c, SIGKILL);
    }
    else if (c && c->left == SPAWN_LEFT_WAIT)
        group = spawn_os_pidfd(pid);
    else if (!c)
        lose(pid);
    if (wait4(pid, &status, WNOHANG, &usage) != pid || !c) {
        if (group >= 0)
            (void)close(group);
        return;
    }
    c->group = group;
    c->status = status;
    c->usage = usage;
    c->leaderless = c->left == SPAWN_LEFT_WAIT;
    if (!c->leaderless || !rest_lives(c))
        tell(link, c);
}

/* Look whether groups that outlived their leader have ended since. */
static void look_at_groups(int link)
{
    unsigned i = 0;

    while (i < used) {
        if (children[i].leaderless && !rest_lives(&children[i]))
            tell(link, &children[i]); /* the last one takes its place */
        else
            i++;
    }
}

unsigned spawn_template_children_reap(int link)
{
    struct signalfd_siginfo ignored;

    while (read(ended_fd, &ignored, sizeof(ignored)) == sizeof(ignored))
        continue;
    for (;;) {
        siginfo_t info;

        memset(&info, 0, sizeof(info));
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0
            || info.si_pid == 0)
            break;
        reap(link, info.si_pid);
    }
    look_at_groups(link);
    return used;
}

bool spawn_template_children_stay(void)
{
    unsigned i;

    for (i = 0; i < used && children[i].stays; i++)
        ;
    return i == used;
}

static child *by_id(const spawn_message *m)
{
    spawn_id id;
    unsigned i;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    for (i = 0; i < used; i++) {
        if (spawn_id_equal(&children[i].id, &id))
            return &children[i];
    }
    return NULL;
}

void spawn_template_child_signal(int link, const spawn_message *m)
{
    int signo = (int)spawn_attr_u64(&m->attr[SPAWN_A_SIGNO]);
    child *c = by_id(m);

    if (!c)
        return;
    if (spawn_has(m, SPAWN_A_KILL_LEFT))
        c->left = (unsigned)spawn_attr_u64(&m->attr[SPAWN_A_KILL_LEFT]);
    /* as the spawner does it with its own */
    if (spawn_has(m, SPAWN_A_KILL_LEFT) || signo == SIGTERM || signo == SIGKILL)
        signal_tree(c, signo);
    if (c->leaderless) {
        (void)spawn_os_group_signal(c->group, c->pid, signo);
        if (signo == SIGKILL || !rest_lives(c))
            tell(link, c);
    }
    /* it may not have its own session yet */
    else if (kill(-c->pid, signo) < 0 && errno == ESRCH) {
        (void)kill(c->pid, signo);
    }
}

void spawn_template_child_forget(const spawn_message *m)
{
    child *c = spawn_has(m, SPAWN_A_ID) ? by_id(m) : NULL;

    if (c)
        drop(c);
}
