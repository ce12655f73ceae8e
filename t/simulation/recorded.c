/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store may lack of an end that somebody was told: not before it, but
 * by a worker that was lent, or by the ledger in another boot.
 */
#include "t/simulation/recorded.h"
#include "t/simulation/durable.h"

#define STORED_WITHIN 20   /* ms, as docs/directives.md has it */
#define STORED_AGAIN  2000 /* ms: it is tried each second, in a turn */

/* And not by the broker, after its worker had not taken it. */
static bool ran_directly(const job *j)
{
    return j->direct && j->direct_number;
}

/* Its caller has its end from the worker; who else knew it was killed, or could
 * not store it: what is left says that it ran (docs/leases.md). */
bool recorded_may_lose_end(const job *j, unsigned outcome)
{
    return outcome == SPAWN_OUTCOME_ENDED && ran_directly(j)
           && j->place == UNPARENTED && (j->record_unsure || !store_calm);
}

static bool store_is_behind(void)
{
    return board->failed_ms
           && board->mono_ms <= board->failed_ms + STORED_AGAIN;
}

/* jobs.db does not have its end: a worker has told that, and the store has not
 * taken it; or the ledger has it, since another boot. Then it is told as
 * jobs.db has it. */
bool recorded_as_before(const job *j, const request *r, unsigned state)
{
    if (ran_directly(j))
        return state == SPAWN_STATE_RUNNING && store_is_behind();
    return j->durable && j->told_boot < board->boot
           && (ledger_unread_in >= r->asked_in || store_is_behind());
}

/* The power cut has cost jobs.db the revive, and the ledger says that an
 * attempt since then is lost, and no other one follows: it is dead, as it was
 * before. */
bool recorded_as_before_revive(const job *j)
{
    return j->durable && j->ever_revived && board->boot > 0
           && j->place == UNPARENTED;
}

/* A call that was answered, of the history, when the store failed; or in its
 * broker's last moments (docs/directives.md). */
bool recorded_may_lack(const job *j)
{
    return j->is_call && (j->done || j->told_done)
           && (j->record_unsure
               || (ran_directly(j) ? calls_unsure : !store_calm));
}

/* Its end was told to a caller that has gone, perhaps, and is not stored. */
static bool told_nobody(const job *j)
{
    return j->is_call && j->end_lost && !calm;
}

/* A caller that submits it again, and waits for its end, is told so; and so is
 * the history, when it is posted again. */
bool recorded_is_lost(const job *j, unsigned outcome)
{
    return outcome == SPAWN_OUTCOME_LOST && j->sends > 1
           && (j->done ? recorded_may_lack(j) : told_nobody(j));
}

/* It was told that it could not be started, and nobody knows that any more. */
bool recorded_may_start_again(const job *j)
{
    return j->launches == 0 && recorded_may_lack(j);
}

void recorded_lose_broker(int64_t finished_ms)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];

        if (j->is_call && !ran_directly(j) && j->done
            && finished_ms < j->told_ms + STORED_WITHIN)
            j->record_unsure = true;
    }
}
