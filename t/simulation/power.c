/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power fails: all processes are gone, and so is what was in memory; the
 * store is as it was some seconds before, as nobody syncs it, or is gone. The
 * ledger stays. After that the world checks durable jobs only, and those that
 * are made then: what the others lose is not promised.
 */
#include <stdio.h>
#include <unistd.h>
#include <sys/socket.h>

#include "t/simulation/controls.h"
#include "t/simulation/crons.h"
#include "t/simulation/durable.h"
#include "t/simulation/past.h"
#include "t/simulation/workers.h"

bool with_power_cuts, ledger_unread;
unsigned ledger_unread_in;

static void lose_posts(void)
{
    char bytes[16];

    while (recv(life_post_end(), bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static void lose_notes(void)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/launches", world_dir);
    if (chance(50))
        (void)!truncate(path, 0);
}

/* Its callers were told that it has ended before the disk had that. */
static void end_is_unsure(job *j)
{
    say("job %u has no end on the disk", job_number(j));
    j->done = j->cancelled = j->kill_done = false;
    j->left_in = 0;
    if (j->launches == 0 || j->place == UNPARENTED || j->place == STARTING
        || j->place == RUNNING)
        return;
    j->had_ended = true;
    j->place = UNPARENTED;
}

/* It ended before the ledger had it, or an end that is old was removed
 * (docs/durable.md). Where the ledger's disk has failed, a record that it may
 * have had is taken off. */
static bool may_be_missing(const job *j)
{
    return ledger_trimmed(j)
           || ((j->told_done || j->done || j->kill_done) && j->launches == 0
               && (!ledger_calm || !ledger_had(j)));
}

static void durable_job(job *j)
{
    if (!ledger_has(j)) {
        if (may_be_missing(j))
            j->unsure = true;
        else if (j->promised || j->launches > 0)
            promise_broken("job %u was taken, and is not on the disk",
                           job_number(j));
        return;
    }
    if (j->claims == 0)
        promise_broken("job %u was refused, and is on the disk", job_number(j));
    if (!ledger_has_end(j))
        end_is_unsure(j);
    if (ledger_has_later_order(j)) {
        j->order_may_be_lost = true;
        j->lost_in = lives;
    }
}

void power_fails(void)
{
    unsigned i;

    life_kill();
    calls_unsure = true;
    store_calm = false;
    say("the power fails");
    callers_close();
    spawner_dies(false);
    workers_lose_spawner();
    scribe_loses_power();
    lose_posts();
    lose_notes();
    life_lose_memory();
    controls_lose_power();
    crons_lose_power();
    past_comes_back();
    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];

        if (j->durable)
            durable_job(j);
        else
            j->unsure = true;
    }
    board->boot++;
    board->boot_began = board->mono_ms - random_below(30000);
}
