/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that were sent TERM or KILL by a broker before this one, and when
 * the rest of their groups gets KILL. Runs in the broker, once at its start.
 * Must signal no process that is another one now.
 */
#include "broker/run/graces.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/process/orphan.h"
#include "broker/process/worker.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"

static spawn_grace *graces; /* by id */
static unsigned graces_count;

static void keep_grace(const spawn_grace *g)
{
    graces = spawn_realloc(graces, (graces_count + 1) * sizeof(*graces));
    graces[graces_count++] = *g;
}

int spawn_graces_read(spawn_store *store)
{
    graces_count = 0;
    return spawn_store_graces(store, keep_grace);
}

static int by_grace_id(const void *a, const void *b)
{
    const spawn_grace *x = a, *y = b;

    return memcmp(x->id.bytes, y->id.bytes, SPAWN_ID_SIZE);
}

void spawn_graces_note(spawn_job *job)
{
    const spawn_grace key = {.id = job->id};
    const spawn_grace *g = graces_count ? bsearch(&key, graces, graces_count,
                                                  sizeof(key), by_grace_id)
                                        : NULL;

    if (!g)
        return;
    job->term_noted = g->noted;
    job->timed_out = g->timed_out;
    if (!g->timed_out && !spawn_job_stopped(job))
        job->cancel = SIGTERM;
}

static void grace_is_over(spawn_batch *batch, const spawn_id *id)
{
    (void)spawn_store_grace_over(batch->store, id);
}

/* Its call has returned: it serves no other one, which what was to end that
 * call would meet. Its group is no matter of ours while it lives. */
static bool is_of_worker(const spawn_grace *g)
{
    spawn_worker *w;

    for (w = spawn_worker_next(NULL); w; w = spawn_worker_next(w)) {
        if (w->pid != g->pid || w->boot_started > g->noted)
            continue;
        spawn_pool_dismiss(w);
        return true;
    }
    return false;
}

static void take(spawn_batch *batch, const spawn_grace *g,
                 bool (*has_exited)(const spawn_id *id))
{
    const int64_t left = g->until - spawn_boot_ms();
    /* one more, since both clocks are read in whole milliseconds */
    const int64_t kill_at = spawn_mono_ms() + (left > 0 ? left + 1 : 0);
    spawn_job *job = spawn_job_find(&g->id);

    if (job)
        spawn_graces_note(job); /* a ticket may have told of it */
    if (job
        && (job->state == SPAWN_STATE_STARTING
            || job->state == SPAWN_STATE_RUNNING)) {
        spawn_end_terminate_again(job, kill_at);
    }
    else if (is_of_worker(g) || has_exited(&g->id)) {
        /* its parent lives, or has waited for all of the group */
        if (!job)
            grace_is_over(batch, &g->id);
    }
    else {
        if (job && job->end)
            job->rest_lives = true;
        spawn_orphan_found_group(batch, g, kill_at);
    }
}

/* Sends the signal again that a caller asked for to end a job. The caller was
 * told that it is done, but the signal may have been on its way when the broker
 * was killed, or the spawner. */
static void end_again(void)
{
    spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->state != SPAWN_STATE_STARTING
            && job->state != SPAWN_STATE_RUNNING)
            continue;
        if (job->cancel == SIGKILL)
            spawn_end_kill(job);
        else if (spawn_job_stopped(job) && !job->terminated)
            spawn_end_signal(job, job->cancel, SPAWN_LEFT_ALONE);
    }
}

void spawn_graces_take(spawn_batch *batch,
                       bool (*has_exited)(const spawn_id *id))
{
    unsigned i;

    spawn_orphan_groups_told(grace_is_over);
    for (i = 0; i < graces_count; i++)
        take(batch, &graces[i], has_exited);
    free(graces);
    graces = NULL;
    graces_count = 0;
    end_again();
}
