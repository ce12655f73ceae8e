/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that a new job brings, and the job that is made of them. Runs in
 * the broker. Must check nothing, and let nobody know of the job.
 */
#include "broker/caller/incoming.h"

#include "common/spawn_digest.h"
#include "common/spawn_os.h"
#include "common/spawn_retry.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/share.h"
#include "broker/process/perl.h"
#include "broker/run/pool.h"
#include "broker/caller/admit.h"

void spawn_incoming_fill(spawn_incoming *in, const spawn_message *m,
                         const uint8_t *data, size_t length)
{
    in->m = m;
    in->attrs = data + SPAWN_WIRE_HEADER;
    in->length = length - SPAWN_WIRE_HEADER;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &in->id);
    in->digest = spawn_digest(in->attrs, in->length);
}

bool spawn_incoming_is(const spawn_message *m, const spawn_id *id)
{
    spawn_id its;

    if (m->header.type != SPAWN_M_SUBMIT)
        return false;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &its);
    return spawn_id_equal(&its, id);
}

/* Since when it is submitted: the process that posted it made its id then. Its
 * rules count from there. */
int64_t spawn_incoming_since(const spawn_incoming *in)
{
    int64_t now = spawn_wall_ms(), made = (int64_t)spawn_id_time(&in->id);

    return in->peer || made > now ? now : made;
}

bool spawn_incoming_delayed(const spawn_incoming *in)
{
    return spawn_rules_delay(in->m, spawn_incoming_since(in));
}

spawn_job *spawn_incoming_job(const spawn_incoming *in, spawn_body *body)
{
    spawn_job *job = spawn_job_new(in->batch, &in->id);

    job->body = body;
    job->digest = in->digest;
    job->submitted_at =
        spawn_incoming_since(in); /* the time that it expires after, too */
    job->caller_uid = in->peer ? in->peer->uid : in->uid;
    job->caller_pid = in->peer ? in->peer->pid : in->pid;
    job->slot = (uint8_t)in->slot;
    job->fds = (uint8_t)in->m->header.fds;
    job->spooled = in->spooled;
    job->retries = (uint8_t)spawn_retry_most(in->m);
    if (spawn_incoming_durable(in))
        job->ledger = SPAWN_IN_LEDGER_ASKED;
    spawn_admit_priority(job, in->m);
    spawn_queue_join(job, spawn_incoming_queue(in));
    if (in->origin)
        (void)spawn_share_make(job, SPAWN_SHARE_TAKEN, in->origin);
    else if (job->queue->shared)
        (void)spawn_share_make(job, SPAWN_SHARE_ORIGIN, "");
    if (spawn_has(in->m, SPAWN_A_FUNCTION)) {
        spawn_perl_make(job,
                        spawn_has(in->m, SPAWN_A_TEMPLATE)
                            ? spawn_attr_str(&in->m->attr[SPAWN_A_TEMPLATE])
                            : NULL);
        job->perl->pooled = spawn_pool_serves(job->queue, in->m);
        /* a child of an earlier configuration does not wait for the code of
         * this one */
        if (in->peer && in->peer->proven)
            job->perl->since = in->peer->since;
    }
    return job;
}
