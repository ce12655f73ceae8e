/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job is ended by its caller: by KILL, or since the job is bound to a
 * connection that has closed. Runs in the broker. Must not end a job that
 * another caller has submitted, because of a connection.
 */
#include "broker/caller/stop.h"

#include <signal.h>

#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/share.h"
#include "broker/process/perl.h"
#include "broker/run/end.h"
#include "broker/run/retry.h"

/* The signal that is remembered: one that was to end the job is not replaced by
 * one that only tells it something, and KILL by none that it may ignore. */
static void note_signal(spawn_job *job, int signo)
{
    bool stops = spawn_job_stops(signo);

    if (job->cancel != SIGKILL && (stops || !spawn_job_stopped(job)))
        job->cancel = (uint8_t)signo;
    if (stops)
        spawn_perl_cancelled(job);
}

/* Its end may have come just now, and its record is not stored yet. One that is
 * revived has ended, until the store says that it waits. */
static bool stop_ended(spawn_job *job)
{
    spawn_retry_judge(job);
    if (!job->again || job->revived)
        return false;
    spawn_retry_give_up(job);
    job->dead = false;
    spawn_job_changed(job);
    return true;
}

static void send_signal(spawn_job *job, int signo)
{
    note_signal(job, signo);
    if (signo == SIGKILL)
        spawn_end_kill(job);
    else
        spawn_end_signal(job, signo, SPAWN_LEFT_ALONE);
    spawn_job_changed(job);
}

static void stop_kindly(spawn_job *job)
{
    if (job->terminated || job->cancel == SIGKILL)
        return;
    spawn_end_terminate(job, false);
    spawn_job_changed(job);
}

bool spawn_stop(spawn_job *job, int signo)
{
    switch (job->state) {
    case SPAWN_STATE_QUEUED:
        (void)spawn_end_job(job, SPAWN_OUTCOME_CANCELLED);
        break;
    case SPAWN_STATE_STARTING:
    case SPAWN_STATE_RUNNING:
        if (spawn_job_away(job))
            return false;
        if (job->launch) /* its start is not stored yet: nobody has it */
            (void)spawn_end_job(job, SPAWN_OUTCOME_CANCELLED);
        else if (signo == SPAWN_STOP_KINDLY)
            stop_kindly(job);
        else
            send_signal(job, signo);
        break;
    default:
        if (!stop_ended(job))
            return false;
        break;
    }
    /* The answer promises it: also to a caller that waits for the end of a
     * call, does not get it, and sends the call again. */
    if (job->slot || !job->in_store)
        spawn_job_store_now(job);
    return true;
}

/* ---- bound to a connection ---- */

int spawn_stop_check(const spawn_peer *peer, const spawn_message *m,
                     spawn_failure *why)
{
    const char *text = NULL;
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (peer->bound && spawn_u64_or(m, SPAWN_A_DURABLE, 0))
        text = "durable: a job that is bound to its caller's connection cannot "
               "outlive a power cut";
    else if (peer->has_bound && !spawn_id_equal(&id, &peer->bound_job))
        text = "a connection that is bound has one job";
    if (!text)
        return 0;
    spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0, "%s", text);
    return -1;
}

/* A slot in which a broker found the job does not tell its caller's process. */
static void is_the_caller(const spawn_peer *peer, spawn_job *job)
{
    if (job && job->caller_pid == 0 && job->caller_uid == peer->uid)
        job->caller_pid = peer->pid;
}

void spawn_stop_with(spawn_peer *peer, const spawn_id *id)
{
    if (!peer->bound)
        return;
    is_the_caller(peer, spawn_job_find(id));
    peer->has_bound = true;
    peer->bound_job = *id;
    if (!spawn_peer_open(peer)) /* it has gone before its answer */
        spawn_stop_bound(peer);
}

bool spawn_stop_binds(const spawn_peer *peer)
{
    const spawn_job *job =
        peer->has_bound ? spawn_job_find(&peer->bound_job) : NULL;

    return job && !spawn_job_over(job);
}

void spawn_stop_bound(spawn_peer *peer)
{
    spawn_job *job = peer->has_bound ? spawn_job_find(&peer->bound_job) : NULL;

    peer->has_bound = false;
    if (!job || job->caller_pid != peer->pid || job->caller_uid != peer->uid)
        return;
    job->unbound = true;
    if (spawn_stop(job, SPAWN_STOP_KINDLY) && job->end)
        spawn_end_say_unbound(job, job->end);
}
