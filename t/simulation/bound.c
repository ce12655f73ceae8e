/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are bound to the connection of their caller (docs/protocol.md,
 * `bound`). What is checked: a job whose connection was closed does not start
 * after that, gets TERM when it runs, and KILL not before its grace is over.
 * That holds as long as the broker lives that was told; the next one knows
 * nothing of connections that were closed before.
 */
#include "t/simulation/bound.h"

#include <signal.h>

#define SOON 4 /* turns: to accept it, and read what came before its end */

static bool with_bound, is_calm;

void bound_reset(bool some)
{
    with_bound = some;
    is_calm = false;
}

void bound_are_calm(void)
{
    is_calm = true;
}

void bound_comes(caller *c, spawn_writer *hello)
{
    c->bound = with_bound && !is_calm && chance(40);
    c->bound_job = NULL;
    c->bound_taken = false;
    if (c->bound)
        spawn_put_u64(hello, SPAWN_A_BOUND, 1);
}

bool bound_may_submit(const caller *c, const job *j)
{
    return !c->bound || (!j->durable && (!c->bound_job || c->bound_job == j));
}

void bound_submits(caller *c, job *j)
{
    if (c->bound)
        c->bound_job = j;
}

/* One that is refused, or in whose place another one is kept, is bound to
 * nobody. */
void bound_is_answered(caller *c, const request *r, const spawn_message *m)
{
    if (!c->bound || r->type != SPAWN_M_SUBMIT || r->job != c->bound_job
        || r->other_contents)
        return;
    if (m->header.type == SPAWN_M_JOB
        || (m->header.type == SPAWN_M_ACCEPTED && !spawn_has(m, SPAWN_A_OTHER)))
        c->bound_taken = true;
}

void bound_goes(caller *c)
{
    job *j = c->bound ? c->bound_job : NULL;

    bound_loses_broker(c);
    if (!j || !alive)
        return;
    say("job %u is bound to the connection of caller %u, which is closed",
        job_number(j), (unsigned)(c - callers));
    j->kill_asked = true;
    j->unbound_in = turns;
    j->unbound_life = lives;
    j->unbound_known = c->bound_taken;
    j->unbound_told = false;
    c->bound_taken = false;
}

void bound_loses_broker(caller *c)
{
    c->bound_job = NULL;
    c->bound = false;
}

/* The broker had the job, and has read by now that its connection is closed.
 * One that somebody revives after that is bound to nobody. */
static bool is_unbound(const job *j)
{
    return j->unbound_in && j->unbound_known && !j->unsure && !j->ever_revived
           && j->unbound_life == lives && turns > j->unbound_in + SOON;
}

void bound_launched(const job *j)
{
    if (is_unbound(j))
        promise_broken("job %u is launched, and the connection that it is "
                       "bound to was closed",
                       job_number(j));
}

void bound_signalled(job *j, int signo)
{
    if (!j->unbound_in || j->unbound_life != lives)
        return;
    if (signo == SIGKILL && !j->killed_by_hand && !j->timeout_ms
        && (!j->unbound_told
            || board->mono_ms < j->unbound_ms + (int64_t)j->grace_ms))
        promise_broken("job %u is killed before its grace is over, since the "
                       "connection that it is bound to was closed",
                       job_number(j));
    if (signo == SIGTERM && !j->unbound_told) {
        j->unbound_told = true;
        j->unbound_ms = board->mono_ms;
    }
}

/* A signal that it got before the connection was closed is as good. */
static bool was_stopped(const job *j)
{
    return j->unbound_told || j->killed_by_hand || j->pending
           || j->term_ms >= 0;
}

void bound_check(void)
{
    unsigned i;

    for (i = 0; i < jobs_used && with_bound && alive; i++) {
        const job *j = &jobs[i];

        if (is_unbound(j) && j->place == RUNNING && j->told_pid
            && j->told_in + SOON < turns && !was_stopped(j))
            promise_broken("job %u runs, and the connection that it is bound "
                           "to was closed",
                           i);
    }
}
