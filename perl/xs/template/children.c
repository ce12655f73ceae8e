/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a template that httpd forked from itself. Such a template is httpd's
 * child, so its jobs cannot be the spawner's: they are its own, it reaps them
 * and tells the spawner, and signals them when it is told to (nobody else may:
 * only their parent knows that a number is still theirs).
 *
 * Runs in such a template only; allocates a few bytes for each job that lives.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "../../../common/spawn_os.h"
#include "template.h"

typedef struct {
    spawn_id id;
    pid_t pid;
    bool kill_left; /* when it ends: the rest of its group */
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

int spawn_template_child_add(const spawn_id *id, pid_t pid, bool kill_left)
{
    if (used == room) {
        unsigned more = room ? room * 2 : 64;
        child *grown = realloc(children, more * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        children = grown;
        room = more;
    }
    children[used].id = *id;
    children[used].pid = pid;
    children[used++].kill_left = kill_left;
    return 0;
}

static child *by_pid(pid_t pid)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (children[i].pid == pid)
            return &children[i];
    }
    return NULL;
}

static void reap(int link, pid_t pid)
{
    child *c = by_pid(pid);
    struct rusage usage;
    int status;

    /* while the dead leader still pins the number of its group */
    if (c && c->kill_left)
        (void)kill(-pid, SIGKILL);
    if (wait4(pid, &status, WNOHANG, &usage) != pid || !c)
        return;
    (void)spawn_template_tell_exited(link, &c->id, pid, status, &usage);
    *c = children[--used];
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
            return used;
        reap(link, info.si_pid);
    }
}

void spawn_template_child_signal(const spawn_message *m)
{
    int signo = (int)spawn_attr_u64(&m->attr[SPAWN_A_SIGNO]);
    spawn_id id;
    unsigned i;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    for (i = 0; i < used; i++) {
        if (!spawn_id_equal(&children[i].id, &id))
            continue;
        if (spawn_u64_or(m, SPAWN_A_KILL_LEFT, 0))
            children[i].kill_left = true;
        /* it may not have made its session yet */
        if (kill(-children[i].pid, signo) < 0 && errno == ESRCH)
            (void)kill(children[i].pid, signo);
    }
}
