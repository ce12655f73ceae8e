/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared jobs at their origin. Runs in the broker. Must take the end of a job
 * once, and acknowledge it only when the store has it. What other hosts say is
 * checked like anything from outside: they are trusted with jobs, not with this
 * process.
 */
#include "broker/relay/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "broker/base/alloc.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/share.h"
#include "broker/job/state.h"
#include "broker/process/output.h"
#include "broker/run/end.h"
#include "broker/relay/link.h"
#include "broker/relay/load.h"

/* ---- deliveries ---- */

void spawn_delivery_kept(uint64_t delivery, unsigned code)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_KEPT, 0);
    spawn_put_u64(&w, SPAWN_A_SEQ, delivery);
    if (code)
        spawn_put_u64(&w, SPAWN_A_CODE, code);
    spawn_relay_send(&w);
}

/* What a later one says is more than what an earlier one did. */
void spawn_delivery_of(spawn_job *job, uint64_t delivery)
{
    if (job->share->delivery)
        spawn_delivery_kept(job->share->delivery, 0);
    job->share->delivery = delivery;
}

/* ---- handing over ---- */

/* Its next order goes to the next relay, or connection. */
static void waits_again(spawn_job *job)
{
    spawn_share_on_way(job, false);
    job->launch = false;
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_job_changed(job);
}

int spawn_origin_hand_over(spawn_job *job, const spawn_body *body,
                           spawn_failure *why)
{
    int rv = 0;

    if (spawn_shares.open)
        rv = spawn_load_send_job(job, body, why);
    else
        waits_again(job);
    if (rv < 0)
        spawn_share_on_way(job, false);
    return rv;
}

void spawn_origin_carried(const spawn_id *id)
{
    spawn_job *job = spawn_job_find(id);

    if (!job || !spawn_job_away(job) || !job->share->on_way)
        return;
    spawn_share_on_way(job, false);
    if (job->share->stage == SPAWN_SHARE_HERE)
        job->share->stage = SPAWN_SHARE_HANDED_OVER;
    spawn_job_changed(job);
}

void spawn_origin_cut(void)
{
    spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->share)
            job->share->delivery = 0; /* it comes again */
        if (spawn_job_away(job) && job->share->on_way
            && job->state == SPAWN_STATE_STARTING)
            waits_again(job);
    }
}

/* ---- news ---- */

static void note_host(spawn_job *job, const char *host)
{
    char id[SPAWN_ID_TEXT];

    if (job->share->stage == SPAWN_SHARE_RUNS
        && strcmp(job->share->host, host) != 0)
        spawn_log_few("shared jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0702) "job %s runs on host %.200s, and host %.200s "
                                 "says that it runs there, too: the first end "
                                 "that comes is taken",
                      spawn_id_format(&job->id, id), job->share->host, host);
    else
        (void)snprintf(job->share->host, sizeof(job->share->host), "%s", host);
}

static void take_start(spawn_job *job, const spawn_message *m, const char *host)
{
    note_host(job, host);
    spawn_share_on_way(job, false);
    job->share->stage = SPAWN_SHARE_RUNS;
    if (job->state != SPAWN_STATE_STARTING)
        return;
    job->started_at = (int64_t)spawn_u64_or(m, SPAWN_A_STARTED_AT, 0);
    spawn_job_on(job, SPAWN_JOB_BEGAN);
    spawn_job_changed(job);
}

static void take_output(spawn_job *job, const spawn_message *m, unsigned attr,
                        unsigned lost_attr, int which)
{
    uint64_t lost = spawn_u64_or(m, lost_attr, 0);

    if (!spawn_has(m, attr))
        return;
    if (spawn_output_given(job->streams, which, m->attr[attr].data,
                           m->attr[attr].length, lost)
        < 0)
        job->outputs_lost |= (uint8_t)(1u << which);
}

static void take_result(spawn_job *job, const spawn_message *m)
{
    const spawn_attr *result = &m->attr[SPAWN_A_RESULT];
    spawn_returned *kept;

    if (!job->perl || job->perl->kept || !spawn_has(m, SPAWN_A_RESULT_KIND))
        return;
    kept = spawn_alloc(sizeof(*kept));
    kept->kind = (int)spawn_attr_u64(&m->attr[SPAWN_A_RESULT_KIND]);
    if (spawn_has(m, SPAWN_A_RESULT) && result->length) {
        kept->data = spawn_alloc(result->length);
        memcpy(kept->data, result->data, result->length);
        kept->length = result->length;
    }
    job->perl->kept = kept;
}

static void take_end(spawn_job *job, const spawn_message *m, const char *host)
{
    spawn_end *end;

    note_host(job, host);
    spawn_share_on_way(job, false);
    job->launch = false;
    take_output(job, m, SPAWN_A_OUT, SPAWN_A_OUT_LOST, 0);
    take_output(job, m, SPAWN_A_ERR, SPAWN_A_ERR_LOST, 1);
    take_result(job, m);
    job->started_at =
        (int64_t)spawn_u64_or(m, SPAWN_A_STARTED_AT, (uint64_t)job->started_at);
    end = spawn_end_job(job, (spawn_outcome)spawn_u64_or(m, SPAWN_A_OUTCOME,
                                                         SPAWN_OUTCOME_LOST));
    if (spawn_has(m, SPAWN_A_EXIT_CODE))
        end->exit_code = (int)spawn_attr_u64(&m->attr[SPAWN_A_EXIT_CODE]);
    end->signo = (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 0);
    end->core = spawn_u64_or(m, SPAWN_A_CORE, 0) != 0;
    end->step = (spawn_step)spawn_u64_or(m, SPAWN_A_STEP, 0);
    end->error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
    end->ended_at =
        (int64_t)spawn_u64_or(m, SPAWN_A_ENDED_AT, (uint64_t)end->ended_at);
    if (spawn_has(m, SPAWN_A_ELAPSED))
        end->elapsed_us = (int64_t)spawn_attr_u64(&m->attr[SPAWN_A_ELAPSED]);
    spawn_end_usage(end, m);
    if (spawn_has(m, SPAWN_A_TEXT))
        spawn_end_say(end, "%s", spawn_attr_str(&m->attr[SPAWN_A_TEXT]));
    job->judged = true; /* the host that ran it has tried it again */
    job->dead = spawn_u64_or(m, SPAWN_A_DEAD, 0) != 0;
    spawn_job_store_now(job);
    spawn_job_changed(job);
}

/* An attempt that was given up may end yet. */
static bool is_old(const spawn_job *job, unsigned attempt, const char *host)
{
    char id[SPAWN_ID_TEXT];

    if (attempt >= job->attempt)
        return false;
    spawn_log_few("shared jobs", SPAWN_LOG_FEW, SPAWN_LOG_NOTICE,
                  MSNO(0703) "attempt %u of job %s was heard of from host "
                             "%.200s, when attempt %u was under way: it does "
                             "not count",
                  attempt, spawn_id_format(&job->id, id), host, job->attempt);
    return true;
}

static void bad(const spawn_failure *why)
{
    spawn_log_few("other hosts", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0704) "another host sent what is not understood, and "
                             "it is dropped: %s",
                  why->text);
}

/* 0, or -1: it is none. The inner message is of the same job. */
static int parse(const void *data, size_t length, spawn_message *ret,
                 spawn_message *ret_answer, spawn_failure *why)
{
    const spawn_attr *load = &ret->attr[SPAWN_A_LOAD_BYTES];
    spawn_id outer, inner;

    if (spawn_message_parse(data, length, SPAWN_FROM_OTHER_HOST, 0, ret, why)
        || spawn_message_parse(load->data, load->length, SPAWN_FROM_BROKER, 0,
                               ret_answer, why))
        return -1;
    spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_CHECK, 0,
                      "it is no news of a job");
    if (ret->header.type != SPAWN_M_SHARED_NEWS
        || ret_answer->header.type != SPAWN_M_JOB)
        return -1;
    spawn_attr_id(&ret->attr[SPAWN_A_ID], &outer);
    spawn_attr_id(&ret_answer->attr[SPAWN_A_ID], &inner);
    return spawn_id_equal(&outer, &inner) ? 0 : -1;
}

void spawn_origin_news(uint64_t delivery, const void *data, size_t length)
{
    spawn_message m, answer;
    spawn_failure why;
    const char *host;
    spawn_job *job;
    unsigned attempt;
    spawn_id id;
    uint64_t state;

    if (parse(data, length, &m, &answer, &why)) {
        bad(&why);
        spawn_delivery_kept(delivery, 0);
        return;
    }
    spawn_attr_id(&m.attr[SPAWN_A_ID], &id);
    host = spawn_attr_str(&m.attr[SPAWN_A_HOST]);
    attempt = (unsigned)spawn_attr_u64(&m.attr[SPAWN_A_ATTEMPT]);
    state = spawn_u64_or(&answer, SPAWN_A_STATE, 0);
    job = spawn_job_find(&id);
    if (!job || !spawn_job_away(job) || job->state == SPAWN_STATE_DONE
        || job->state == SPAWN_STATE_QUEUED || is_old(job, attempt, host)
        || (state != SPAWN_STATE_RUNNING && state != SPAWN_STATE_DONE)) {
        spawn_delivery_kept(delivery, 0);
        return;
    }
    if (attempt <= UINT16_MAX)
        job->attempt = (uint16_t)attempt;
    spawn_delivery_of(job, delivery);
    if (state == SPAWN_STATE_DONE)
        take_end(job, &answer, host);
    else
        take_start(job, &answer, host);
    if (job->due == SPAWN_DUE_NOT) /* it says nothing new */
        spawn_job_changed(job);
}
