/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of a program job, or of a template: set up by the steps of
 * spawn_child.h, then exec. A failure is written to the start pipe as
 * {step, errno}, or with the pid before it to the pipe of all; exec closes the
 * pipe.
 *
 * Runs in a child of the spawner only, which may share the spawner's memory
 * (clone.c): must then write to its own stack only, and not even to errno. Must
 * end by exec or exit, and never return.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include "common/spawn_raw.h"
#include "spawner/spawner.h"

/* Where a template finds its link. */
#define TEMPLATE_LINK_FD 3

typedef struct {
    int fd;
    bool common;
} reporter;

static void report_and_exit(const reporter *to, spawn_step step, int error)
    __attribute__((noreturn));

static void report_and_exit(const reporter *to, spawn_step step, int error)
{
    const int32_t what[3] = {(int32_t)spawn_raw(SYS_getpid, 0, 0, 0, 0, 0),
                             (int32_t)step, error};
    const int from = to->common ? 0 : 1;

    (void)spawn_raw_write(to->fd, what + from,
                          sizeof(what) - (size_t)from * sizeof(what[0]));
    spawn_raw_exit(127);
}

static void failed(void *to, spawn_step step, int error)
{
    report_and_exit(to, step, error);
}

/* Its limits hold when it is in its cgroup, and not before. */
static void wait_at_gate(const child_order *o, const reporter *to)
{
    int32_t error = EPIPE; /* the spawner has ended */

    if (o->gate[0] < 0)
        return;
    (void)spawn_raw_close(o->gate[1]);
    (void)spawn_raw_read(o->gate[0], &error, sizeof(error));
    if (error)
        report_and_exit(to, SPAWN_STEP_CGROUP, error);
}

void child_run(const child_order *o)
{
    reporter to = {o->report, o->common};
    int report =
        spawn_raw_fcntl(o->report, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    int link = -1, error = 0;
    int lifted[SPAWN_CHILD_FDS];
    spawn_child c = {.order = o->order,
                     .fds = o->fds,
                     .as = o->as,
                     .file_limit = {o->file_limit[0], o->file_limit[1]},
                     .bounding_set = o->bounding_set,
                     .failed = failed,
                     .arg = &to};
    char *argv_room[CHILD_WORDS], *envp_room[CHILD_WORDS];
    char **argv, **envp;
    spawn_step step;

    if (report < 0)
        report_and_exit(&to, SPAWN_STEP_FDS, -report);
    to.fd = report;
    wait_at_gate(o, &to);
    if (o->link >= 0) {
        link = spawn_raw_fcntl(o->link, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
        if (link < 0)
            report_and_exit(&to, SPAWN_STEP_FDS, -link);
    }
    c.keep[0] = report;
    c.keep[1] = link; /* or -1, which is none */
    c.keep_count = sizeof(c.keep) / sizeof(c.keep[0]);
    argv = spawn_child_vector(&o->order->attr[SPAWN_A_ARGV], argv_room,
                              CHILD_WORDS);
    envp = spawn_child_vector(&o->order->attr[SPAWN_A_ENV], envp_room,
                              CHILD_WORDS);
    if (!argv || !envp)
        report_and_exit(&to, SPAWN_STEP_EXEC, errno);
    spawn_child_set_up(&c, lifted);
    if (link >= 0) /* a template, also one that is stopped: its jobs are ours */
        (void)spawn_raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* when there is no room for that number, a step before has failed */
    if (link >= 0)
        (void)spawn_raw_dup_to(link, TEMPLATE_LINK_FD);
    step = o->allow ? allowed_exec(o->allow, argv, envp, &error)
                    : spawn_child_exec(argv, envp, &error);
    report_and_exit(&to, step, error);
}
