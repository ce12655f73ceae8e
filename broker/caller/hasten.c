/* SPDX-License-Identifier: Apache-2.0 */
/*
 * START_NOW. Runs in the broker. Must do nothing but what the time itself does
 * when it comes: the job still waits for its turn, its unique key and the jobs
 * before it, and a queue that is full by then does not refuse it.
 */
#include "broker/caller/hasten.h"

#include "broker/caller/reply.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/store/attempts.h"

static void refuse(spawn_peer *peer, const spawn_message *m, const spawn_id *id,
                   spawn_error code, const char *what)
{
    char text[SPAWN_ID_TEXT];
    spawn_failure why;

    spawn_failure_set(&why, code, SPAWN_STEP_CHECK, 0, "%s: %s", what,
                      spawn_id_format(id, text));
    spawn_peer_refuse(peer, m->header.seq, id, &why);
}

static void refuse_ended(spawn_peer *peer, const spawn_message *m,
                         const spawn_id *id)
{
    spawn_dead_row r;
    int rv = spawn_store_dead(peer->batch->store, id, &r);

    if (rv < 0)
        refuse(peer, m, id, SPAWN_E_STORE, "the store could not be read");
    else if (rv == 0)
        refuse(peer, m, id, SPAWN_E_NO_SUCH_JOB,
               "no job with this id is known");
    else
        refuse(peer, m, id, SPAWN_E_NOT_DELAYED, "the job has ended");
}

static const char *why_not(const spawn_job *job)
{
    if (job->state == SPAWN_STATE_QUEUED)
        return "the job waits, and not for its time";
    return job->state == SPAWN_STATE_DONE && !job->again ? "the job has ended"
                                                         : "the job has begun";
}

void spawn_hasten(spawn_peer *peer, const spawn_message *m, spawn_packet *p,
                  const spawn_id *id)
{
    spawn_job *job = spawn_job_find(id);

    (void)p;
    if (!job) {
        refuse_ended(peer, m, id);
        return;
    }
    if (!spawn_job_delayed(job)) {
        refuse(peer, m, id, SPAWN_E_NOT_DELAYED, why_not(job));
        return;
    }
    /* as when the time itself comes: run/when.c */
    if (spawn_job_kept(job) || spawn_durable_undecided(job)) {
        refuse(peer, m, id, SPAWN_E_STORE,
               "that the job may start cannot be stored now");
        return;
    }
    spawn_moment_forget(&job->rules->due);
    spawn_moment_in(&job->rules->due, 0);
    spawn_queue_due(job);
    spawn_durable_hastened(job);
    if (job->slot || !job->in_store)
        spawn_job_store_now(job);
    spawn_job_changed(job);
    spawn_reply_done(peer, m->header.seq, job);
}
