/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of jobs that somebody revives. A revive that has no answer may
 * be done, or not: until it has one the job may have ended, or wait.
 */
#include "t/simulation/revived.h"
#include "t/simulation/room.h"

#include <sys/wait.h>

/* Mostly of one that is dead. A job that expires may do so at once. */
bool revived_may_be(const job *j)
{
    bool badly = j->outcome != SPAWN_OUTCOME_CANCELLED
                 && (j->outcome != SPAWN_OUTCOME_EXITED || j->status != 0);

    return j->retry && j->done && !j->unsure && !j->expires_ms && !j->expires_at
           && (badly || chance(5));
}

void revived_asked(job *j)
{
    /* the ledger had the order of an attempt that never came to its launch */
    unsigned last =
        j->order_may_be_lost ? j->most : j->attempt + j->refused_late;

    j->revives++;
    j->revives_asked++;
    j->maybe_revived = j->ever_revived = true;
    j->left_in = 0;
    if (j->most < last + j->retry + 1)
        j->most = last + j->retry + 1;
}

/* Without a death or a failure nobody else can have changed that. */
static bool is_dead(const job *j)
{
    return calm && j->done && j->revives == 1 && !j->kill_asked
           && j->outcome == SPAWN_OUTCOME_EXITED && j->status != 0
           && j->place == FORGOTTEN;
}

/* The ledger does not say that somebody had ended it. */
static void may_wait(job *j)
{
    j->done = false;
    j->kill_done = j->kill_done && !(j->durable && board->boot > 0);
}

static void is_done(job *j)
{
    may_wait(j);
    j->revived_after = j->launches + 1;
}

void revived_judge(const request *r, unsigned type, unsigned code)
{
    job *j = r->job;

    if (type == SPAWN_M_DONE)
        is_done(j);
    else if (code == SPAWN_E_NOT_DEAD && is_dead(j))
        promise_broken("job %u is dead, and is told not to be", job_number(j));
    else if (code == SPAWN_E_NO_SUCH_JOB && store_calm)
        promise_broken("job %u was known, and is not any more", job_number(j));
    else if (code != SPAWN_E_NOT_DEAD && code != SPAWN_E_NO_SUCH_JOB
             && !(code == SPAWN_E_QUEUE_FULL && room_may_be_full(r))
             && !(code == SPAWN_E_STORE && answer_store_may_refuse(r)))
        promise_broken("job %u cannot be revived, for no reason",
                       job_number(j));
    /* jobs.db had it waiting, and the ledger did not: it could not be started
     */
    if (type != SPAWN_M_DONE && code == SPAWN_E_STORE && j->durable) {
        may_wait(j);
        j->refused_late++;
    }
    j->revives--;
    if (j->revives == 0 && !j->revive_lost)
        j->maybe_revived = false;
}

void revived_ends(job *j, unsigned outcome)
{
    if (j->revived_after && j->launches < j->revived_after
        && (outcome == SPAWN_OUTCOME_EXITED
            || outcome == SPAWN_OUTCOME_SIGNALLED))
        promise_broken("job %u was revived, and is told as it had ended before",
                       job_number(j));
    j->revived_after = 0;
}

void revived_lost(job *j)
{
    j->revives--;
    j->revive_lost = true;
    j->refused_late += j->durable;
    may_wait(j); /* it is asked for again */
}
