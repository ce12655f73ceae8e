/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended, and how that is said. Runs in the broker. Signals and stores
 * nothing: run/end.c does.
 */
#include "broker/job/end.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "broker/base/alloc.h"

#define TEXT_ROOM 4096 /* of TEXT on the wire */

void spawn_end_say(spawn_end *end, const char *fmt, ...)
{
    char text[TEXT_ROOM];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    free(end->text);
    end->text = spawn_strdup(text);
}

void spawn_end_say_unbound(const spawn_job *job, spawn_end *end)
{
    if (job->unbound && end->outcome == SPAWN_OUTCOME_CANCELLED)
        spawn_end_say(end, "the request that it is bound to has ended, or its "
                           "caller has gone");
}

void spawn_end_overdue(spawn_job *job, int status, int64_t elapsed_us)
{
    if (job->timeout_ms > 0 && !spawn_job_stopped(job)
        && elapsed_us / 1000 >= job->timeout_ms && WIFSIGNALED(status)
        && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL))
        job->timed_out = true;
}

uint64_t spawn_end_oom_kills(const spawn_message *m)
{
    const spawn_attr *usage = &m->attr[SPAWN_A_RUSAGE]; /* empty: not there */
    uint64_t kills = spawn_u64v_count(usage) > SPAWN_RU_OOM_KILLS
                         ? spawn_u64v_at(usage, SPAWN_RU_OOM_KILLS)
                         : SPAWN_RU_UNKNOWN;

    return kills == SPAWN_RU_UNKNOWN ? 0 : kills;
}

/* The kernel does not tell which processes it has killed: one that got SIGKILL,
 * and was in a cgroup where the kernel has killed, was one of them. */
void spawn_end_status(const spawn_job *job, spawn_end *end, int status,
                      uint64_t oom_kills)
{
    if (WIFSIGNALED(status)) {
        end->outcome = SPAWN_OUTCOME_SIGNALLED;
        end->signo = WTERMSIG(status);
        end->core = WCOREDUMP(status);
        if (end->signo == SIGKILL && oom_kills)
            end->outcome = SPAWN_OUTCOME_OUT_OF_MEMORY;
    }
    else {
        end->outcome = SPAWN_OUTCOME_EXITED;
        end->exit_code = WEXITSTATUS(status);
    }
    if (job->timed_out)
        end->outcome = SPAWN_OUTCOME_TIMED_OUT;
    else if (end->signo
             && (end->signo == job->cancel
                 || (spawn_job_stopped(job) && job->terminated)))
        end->outcome = SPAWN_OUTCOME_CANCELLED;
    spawn_end_say_unbound(job, end);
}

void spawn_end_drop(spawn_job *job)
{
    if (!job->end)
        return;
    free(job->end->text);
    free(job->end);
    job->end = NULL;
    job->judged = job->again = job->dead = false;
}

static const char *by_whom(const spawn_message *m, int signo, bool certain)
{
    if (signo != SIGKILL || !spawn_end_oom_kills(m))
        return "";
    return certain ? ", by the kernel, for want of memory"
                   : ", perhaps by the kernel, which has killed processes of "
                     "it for want of memory";
}

void spawn_end_describe(const spawn_message *m, bool certain, char *text,
                        size_t room)
{
    int status = (int)spawn_u64_or(m, SPAWN_A_WAIT_STATUS, 0);
    unsigned step = (unsigned)spawn_u64_or(m, SPAWN_A_STEP, 0);

    if (spawn_has(m, SPAWN_A_STEP))
        (void)snprintf(text, room, "it could not be started: %s: %s%s",
                       spawn_step_name(step),
                       strerror((int)spawn_u64_or(m, SPAWN_A_ERRNO, 0)),
                       step == SPAWN_STEP_INTERPRETER
                           ? " (the one that its first line names)"
                           : "");
    else if (WIFSIGNALED(status))
        (void)snprintf(text, room, "it was killed by signal %d (%s)%s",
                       WTERMSIG(status), strsignal(WTERMSIG(status)),
                       by_whom(m, WTERMSIG(status), certain));
    else
        (void)snprintf(text, room, "it ended with exit code %d",
                       WEXITSTATUS(status));
}

void spawn_end_usage(spawn_end *end, const spawn_message *m)
{
    const spawn_attr *usage = &m->attr[SPAWN_A_RUSAGE];
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_RUSAGE))
        return;
    end->rusage_count = spawn_u64v_count(usage);
    if (end->rusage_count > SPAWN_RU_ALL)
        end->rusage_count = SPAWN_RU_ALL;
    for (i = 0; i < end->rusage_count; i++)
        end->rusage[i] = spawn_u64v_at(usage, i);
}
