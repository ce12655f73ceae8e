/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forked child of a program job: set up by the steps of spawn_child.h, then
 * exec. A failure is written to the start pipe as {step, errno}; exec closes
 * the pipe.
 *
 * Runs in the forked child of the spawner only. Must make async-signal-safe
 * calls only, end by exec or _exit, and never return.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "spawner/spawner.h"

/* Where a template finds its link. */
#define TEMPLATE_LINK_FD 3

/* Most words and variables that need no memory of their own. */
#define VECTOR_ROOM 128

static void report_and_exit(int report, spawn_step step, int error)
    __attribute__((noreturn));

static void report_and_exit(int report, spawn_step step, int error)
{
    const int32_t what[2] = {(int32_t)step, error};

    (void)!write(report, what, sizeof(what));
    _exit(127);
}

static void failed(void *report, spawn_step step, int error)
{
    report_and_exit(*(const int *)report, step, error);
}

void child_run(const child_order *o)
{
    int report = fcntl(o->report, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    int link = -1;
    int lifted[SPAWN_CHILD_FDS];
    spawn_child c = {
        .order = o->order,
        .fds = o->fds,
        .as = &spawner.job_as,
        .file_limit = {spawner.file_limit[0], spawner.file_limit[1]},
        .bounding_set = spawner.less_bounding ? &spawner.bounding_set : NULL,
        .failed = failed,
        .arg = &report};
    char *argv_room[VECTOR_ROOM], *envp_room[VECTOR_ROOM];
    char **argv, **envp;
    spawn_step step;

    if (report < 0)
        report_and_exit(o->report, SPAWN_STEP_FDS, errno);
    if (o->link >= 0) {
        link = fcntl(o->link, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
        if (link < 0)
            report_and_exit(report, SPAWN_STEP_FDS, errno);
    }
    c.keep[0] = report;
    c.keep[1] = link; /* or -1, which is none */
    c.keep_count = sizeof(c.keep) / sizeof(c.keep[0]);
    argv = spawn_child_vector(&o->order->attr[SPAWN_A_ARGV], argv_room,
                              VECTOR_ROOM);
    envp = spawn_child_vector(&o->order->attr[SPAWN_A_ENV], envp_room,
                              VECTOR_ROOM);
    if (!argv || !envp)
        report_and_exit(report, SPAWN_STEP_EXEC, errno);
    spawn_child_set_up(&c, lifted);
    /* when there is no room for that number, a step before has failed */
    if (link >= 0)
        (void)dup2(link, TEMPLATE_LINK_FD);
    step = spawn_child_exec(&c, argv, envp);
    report_and_exit(report, step, errno);
}
