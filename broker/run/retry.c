/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Further attempts. Runs in the broker. Must not begin one after a good end,
 * nor while an attempt before it lives, nor twice for one end.
 */
#include "broker/run/retry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_retry.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/launches.h"
#include "broker/store/store.h"
#include "broker/run/pool.h"

/* ---- whether ---- */

static bool is_stopped(const spawn_job *job)
{
    return spawn_job_stopped(job)
           || job->end->outcome == SPAWN_OUTCOME_CANCELLED
           || job->end->outcome == SPAWN_OUTCOME_EXPIRED;
}

static spawn_attempt_end end_of(spawn_job *job)
{
    spawn_attempt_end end = {.outcome = job->end->outcome,
                             .exit_code = job->end->exit_code,
                             .returned = job->result_told};

    if (job->perl && !end.returned) {
        spawn_perl_take_result(job);
        end.returned = spawn_perl_has_returned(job);
    }
    return end;
}

/* So that jobs which failed together do not come together again; the same for
 * every broker that decides about this attempt. */
static uint64_t bits_of(const spawn_job *job)
{
    uint64_t x;

    memcpy(&x, job->id.bytes + SPAWN_ID_SIZE - sizeof(x), sizeof(x));
    x += job->attempt * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A call whose worker died is given to another one at once, unless its caller
 * wants otherwise. */
static uint64_t delay_of(const spawn_job *job, const spawn_message *order)
{
    unsigned most = spawn_retry_most(order);
    unsigned failed = most >= job->retries ? most - job->retries + 1 : 1;

    if (job->perl && job->perl->worker_died
        && !spawn_has(order, SPAWN_A_BACKOFF))
        return 0;
    return spawn_retry_delay(order, failed, bits_of(job));
}

static void wait_before(spawn_job *job, int64_t ms)
{
    if (ms > 0)
        spawn_moment_in(&spawn_rules_get(job)->due, ms);
    else if (job->rules)
        spawn_moment_at(&job->rules->due, 0);
}

static void decide(spawn_job *job, const spawn_message *order,
                   const spawn_attempt_end *end)
{
    if (job->retries == 0 || job->unkillable
        || !spawn_retry_applies(order, end)) {
        job->dead = true;
        return;
    }
    job->again = true;
    wait_before(job, (int64_t)delay_of(job, order));
}

/* An order whose rules cannot be read is no reason to lose what the job was
 * given. */
static void cannot_decide(spawn_job *job)
{
    job->dead = true;
    if (!job->end->text)
        spawn_end_say(job->end, "what it is to run cannot be read, so it is "
                                "not tried again");
}

void spawn_retry_judge(spawn_job *job)
{
    spawn_attempt_end end;
    spawn_failure why;
    spawn_body *read;
    spawn_message m;

    if (job->state != SPAWN_STATE_DONE || job->judged)
        return;
    job->judged = true;
    if ((job->retries == 0 && job->attempt == 1) || is_stopped(job))
        return;
    end = end_of(job);
    if (spawn_attempt_good(&end))
        return;
    read = job->body ? NULL : spawn_store_body(job);
    /* of what a slot had nobody has checked it */
    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0
        && spawn_rules_check(&m, &why) == 0 && spawn_retry_check(&m, &why) == 0)
        decide(job, &m, &end);
    else
        cannot_decide(job);
    free(read);
    if (!job->again)
        return;
    spawn_job_store_now(job);
    spawn_job_changed(job);
}

bool spawn_retry_failed(spawn_job *job)
{
    spawn_attempt_end end;

    if (!spawn_job_over(job) || !job->judged || is_stopped(job))
        return false;
    end = end_of(job);
    return !spawn_attempt_good(&end);
}

unsigned spawn_retry_given(const spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    unsigned most = 0;
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        most = spawn_retry_most(&m);
    free(read);
    return most;
}

void spawn_retry_judged(spawn_job *job)
{
    const spawn_attempt_end end = end_of(job);

    job->judged = true;
    job->dead = !spawn_attempt_good(&end) && !is_stopped(job)
                && (job->attempt > 1 || spawn_retry_given(job) > 0);
}

void spawn_retry_give_up(spawn_job *job)
{
    job->again = false;
    job->dead = true;
}

/* ---- the next one ---- */

static void forget_perl(spawn_job *job)
{
    spawn_perl_settled(job, false);
    spawn_pool_release(job);
    spawn_perl_renew(job);
}

void spawn_retry_begin(spawn_job *job)
{
    spawn_output_drop(job->streams);
    if (job->perl)
        forget_perl(job);
    spawn_orphan_drop(job);
    if (job->leader >= 0)
        (void)close(job->leader);
    job->leader = -1;
    spawn_end_drop(job);
    job->attempt++;
    job->retries--;
    job->started_at = job->mono_started = job->term_noted = 0;
    job->cancel = job->step = job->outputs_lost = 0;
    job->step_error = 0;
    job->in_table = job->timed_out = job->terminated = job->rest_lives = false;
    job->revived = job->launched = job->may_run_unstored = job->unsent = false;
    spawn_launches_undo(job);
    spawn_job_on(job, SPAWN_JOB_RETRIED);
}
