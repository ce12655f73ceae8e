/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a job could not be started, in a sentence: what the system said, of which
 * path, and what that mostly means. Runs in the broker. Must open nothing, look
 * at no file, and name no argument: a password may be among them.
 */
#include "broker/run/start_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "broker/base/logs.h"
#include "broker/job/allowed.h"
#include "broker/job/body.h"
#include "broker/job/defaults.h"
#include "broker/job/queue.h"
#include "broker/store/store.h"

/* The path that the step is about, or NULL. */
static const char *path_of(const spawn_message *m, spawn_step step)
{
    unsigned attr = step == SPAWN_STEP_STDIN    ? SPAWN_A_STDIN
                    : step == SPAWN_STEP_STDOUT ? SPAWN_A_STDOUT
                                                : SPAWN_A_STDERR;
    spawn_stdio s;

    if (step == SPAWN_STEP_CWD)
        return spawn_str_or(m, SPAWN_A_CWD, NULL);
    if (step != SPAWN_STEP_STDIN && step != SPAWN_STEP_STDOUT
        && step != SPAWN_STEP_STDERR)
        return NULL;
    if (!spawn_has(m, attr))
        return NULL;
    spawn_attr_stdio(&m->attr[attr], &s);
    return s.how == SPAWN_STDIO_PATH ? s.path : NULL;
}

/* A guess at what the user meant by a program that is not there. */
static void not_there(const spawn_message *m, char *text, size_t room)
{
    const spawn_attr *argv = &m->attr[SPAWN_A_ARGV];
    const char *program = spawn_has(m, SPAWN_A_ARGV) && spawn_strv_count(argv)
                              ? spawn_strv_next(argv, NULL)
                              : "";

    if (strpbrk(program, " \t\n|<>;"))
        (void)snprintf(text, room,
                       ": the program and each argument are words of their "
                       "own; a line for a shell is given to one: sh, -c, line");
    else if (!strchr(program, '/'))
        (void)snprintf(text, room, ": it is looked up in %s",
                       SPAWN_DEFAULT_PATH);
    else if (*program != '/')
        (void)snprintf(text, room,
                       ": it is not an absolute path, and was "
                       "looked for in %.1000s",
                       spawn_str_or(m, SPAWN_A_CWD, "/"));
}

/* Of a program that is there. */
static const char *of_exec(int error)
{
    switch (error) {
    case ENOEXEC:
        return ": it is no binary of this machine, and has no first line with "
               "#! and an interpreter";
    case EACCES:
        return ": the job's user may not execute it; look at its mode, at the "
               "directories above it, and whether its file system is mounted "
               "noexec";
    case E2BIG:
        return ": one argument or variable of the environment can have 128 "
               "kB, and all together a quarter of the limit of the stack; "
               "give big data on stdin, or as a file";
    case ETXTBSY:
        return ": somebody has the program open for writing; to replace a "
               "program, write another file and rename it, as install does";
    default:
        return "";
    }
}

static void add_what(const spawn_message *m, spawn_step step, int error,
                     char *text, size_t room)
{
    const char *path = path_of(m, step);

    if (path)
        (void)snprintf(text, room, ": %.1000s", path);
    else if (step == SPAWN_STEP_EXEC && error == ENOENT)
        not_there(m, text, room);
    else if (step == SPAWN_STEP_EXEC)
        (void)snprintf(text, room, "%s", of_exec(error));
    else if (step == SPAWN_STEP_CGROUP && error == EOPNOTSUPP)
        (void)snprintf(text, room,
                       ": tree-memory, tree-cpu, tree-processes and "
                       "tree-weight of its limits need a cgroup with these "
                       "controllers (SpawnCgroup)");
}

/* Of the file that was found, its process knows more than can be told. */
static void not_allowed(const spawn_job *job, const spawn_message *m,
                        char *text, size_t room)
{
    char who[120], list[200];

    spawn_allowed_who(m, (long)job->caller_uid, who, sizeof(who));
    spawn_allowed_list(job->queue, list, sizeof(list));
    (void)snprintf(text, room,
                   ": queue '%.64s' does not run the file that '%.200s' leads "
                   "to; SpawnAllow: %s; asked for by %s",
                   job->queue->name, spawn_logs_what(m), list, who);
    if (job->waiters) /* else the line of its end says it */
        spawn_allowed_log(job->queue, &job->id, m, text + 2);
}

void spawn_start_text(const spawn_job *job, spawn_step step, int error,
                      char *text, size_t room)
{
    const char *name = spawn_step_name(step);
    const char *reason = strerror(error);
    spawn_body *read;
    spawn_message m;
    size_t n;

    if (step == SPAWN_STEP_INTERPRETER)
        (void)snprintf(text, room,
                       "%s: %s: the program is there, but not the interpreter "
                       "that its first line names (does that line end with CR "
                       "LF?) or the loader that it needs",
                       name, reason);
    else if (error == ENXIO
             && (step == SPAWN_STEP_STDOUT || step == SPAWN_STEP_STDERR))
        (void)snprintf(text, room,
                       "%s: it is a FIFO that nobody reads, a socket, or a "
                       "device that is not there: %s",
                       name, reason);
    else
        (void)snprintf(text, room, "%s: %s", name, reason);
    n = strlen(text);
    read = job->body ? NULL : spawn_store_body(job);
    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0) {
        spawn_defaults_fill(job->queue, &m);
        if (step == SPAWN_STEP_ALLOW)
            not_allowed(job, &m, text + n, room - n);
        else
            add_what(&m, step, error, text + n, room - n);
    }
    free(read);
}
