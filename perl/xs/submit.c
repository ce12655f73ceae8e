/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn, run, spawn_call and call: one job to the broker, and its answer or
 * end. Runs in callers. Must let Perl's signal handlers run while it waits.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "common/spawn_retry.h"
#include "client/submitted.h"
#include "perl/xs/spawn_perl.h"

/* After these errors the same message can be sent again with a chance of
 * success. */
static bool may_resubmit(spawn_error code)
{
    switch (code) {
    case SPAWN_E_UNREACHABLE:
    case SPAWN_E_UNCONFIRMED:
    case SPAWN_E_DEADLINE:
    case SPAWN_E_QUEUE_FULL:
    case SPAWN_E_STOPPING:
    case SPAWN_E_STORE:
        return true;
    default:
        return false;
    }
}

/* With these errors there never was a job. */
static bool no_job(spawn_error code)
{
    return code == SPAWN_E_INVALID || code == SPAWN_E_TOO_BIG;
}

static SV *handle_of(pTHX_ int endpoint, const spawn_perl_job *job,
                     spawn_perl_resubmit_data *kept)
{
    return spawn_perl_handle(aTHX_ endpoint, &job->id, job->objects, kept);
}

/* Is the job that is there now another one than was sent? */
static bool is_another(const spawn_perl_job *job)
{
    spawn_id sent = job->id;

    spawn_submit_id(&job->w, &sent);
    return !spawn_id_equal(&sent, &job->id);
}

static void fail(pTHX_ int endpoint, spawn_perl_job *job, uint32_t wait_ms,
                 const spawn_failure *why) __attribute__((noreturn));

static void fail(pTHX_ int endpoint, spawn_perl_job *job, uint32_t wait_ms,
                 const spawn_failure *why)
{
    spawn_perl_resubmit_data *kept = NULL;
    sigset_t before;
    SV *handle;

    if (no_job(why->code))
        spawn_perl_throw(aTHX_ why, NULL);
    spawn_perl_signals_off(&before);
    if (may_resubmit(why->code) && !job->until_request) {
        if (is_another(job)) { /* that one is kept: nothing is to be sent */
            spawn_writer_free(&job->w);
            job->fds_count = 0;
        }
        kept = spawn_perl_keep(job, wait_ms);
    }
    handle = handle_of(aTHX_ endpoint, job, kept);
    (void)sv_2mortal(handle);
    spawn_perl_signals_on(&before);
    spawn_perl_throw(aTHX_ why, SvREFCNT_inc(handle));
}

/* How long a caller waits for the end, at most; -1 for ever. The time of each
 * attempt, and all pauses. */
static int64_t patience(const spawn_perl_job *job)
{
    bool limited = job->seen & 1ull << SPAWN_A_TIMEOUT;
    uint64_t timeout_ms = limited ? job->timeout_ms : SPAWN_PERL_RUN_MS;
    uint64_t attempts = 1, pauses = 0;
    spawn_message m;

    if (limited && timeout_ms == 0)
        return -1;
    if (job->seen & 1ull << SPAWN_A_RETRY
        && spawn_message_parse(job->w.data, job->w.length, SPAWN_FROM_CALLER,
                               job->fds_count, &m, NULL)
               == 0) {
        attempts += spawn_retry_most(&m);
        pauses = spawn_retry_delays(&m);
    }
    return (int64_t)(job->delay_ms + attempts * (timeout_ms + job->grace_ms)
                     + pauses + SPAWN_PERL_MARGIN_MS);
}

static int hand_over(spawn_client *client, spawn_perl_job *job,
                     const spawn_perl_asked *asked, uint32_t wait_ms,
                     spawn_answer *answer, spawn_failure *why)
{
    sigset_t before;
    int rv;

    spawn_perl_signals_off(&before);
    rv = (job->id_is_new ? spawn_client_submit_new : spawn_client_submit)(
        client, &job->w, job->fds, job->fds_count, wait_ms, &job->id, answer,
        why);
    if (asked->note && (rv == 0 || spawn_error_leaves_job(why->code)))
        asked->note(asked->request, &job->id);
    spawn_perl_signals_on(&before);
    return rv;
}

/* The job was sent, and what is missing is only an answer: that nobody is there
 * to give it must not read as if nothing had been sent. */
static void not_told(spawn_failure *why)
{
    spawn_failure was = *why;

    if (was.code != SPAWN_E_UNREACHABLE && was.code != SPAWN_E_DEADLINE)
        return;
    spawn_failure_set(why, SPAWN_E_UNCONFIRMED, SPAWN_STEP_RECEIVE, was.error,
                      "the job was sent, and nobody tells of its end; submit "
                      "it again with the same id to find out: %.160s",
                      was.text);
}

/* The answer of such a submit is the end of the job, so a long timeout would
 * hold signals off for as long, whatever the job's own limit is: it is sent
 * again and again for a short time each. ret_start: of the last time. */
static int hand_over_slice(pTHX_ int endpoint, spawn_perl_job *job,
                           const spawn_perl_asked *asked, uint32_t slice,
                           spawn_answer *answer, int64_t *ret_start,
                           spawn_failure *why)
{
    uint32_t timeout_ms;
    spawn_client *client = spawn_perl_client(endpoint, &timeout_ms);
    spawn_client *brief = spawn_perl_brief_client(endpoint);
    int64_t until = spawn_mono_ms() + timeout_ms;
    bool sent = false;
    int rv;

    for (;;) {
        int64_t now;

        *ret_start = spawn_mono_ms();
        rv = hand_over(brief ? brief : client, job, asked, slice, answer, why);
        now = spawn_mono_ms();
        if (rv == 0 || !brief || now >= until
            || now - *ret_start < SPAWN_PERL_SUBMIT_MS
            || (why->code != SPAWN_E_UNREACHABLE
                && why->code != SPAWN_E_UNCONFIRMED))
            break;
        sent = sent || why->code == SPAWN_E_UNCONFIRMED;
        job->id_is_new = false;
        PERL_ASYNC_CHECK();
    }
    if (rv < 0 && sent)
        not_told(why);
    return rv;
}

/* The submit itself waits for the first slice of time; WAITs ask for the rest,
 * so that Perl's signal handlers get their turn. */
static void submit_and_wait(pTHX_ int endpoint, spawn_perl_job *job,
                            const spawn_perl_asked *asked, spawn_answer *answer)
{
    int64_t limit_ms = patience(job);
    uint32_t slice = SPAWN_PERL_SLICE_MS;
    int64_t start;
    spawn_failure why;
    int rv;

    if (limit_ms >= 0 && limit_ms < slice)
        slice = (uint32_t)limit_ms;
    rv = hand_over_slice(aTHX_ endpoint, job, asked, slice, answer, &start,
                         &why);
    if (rv < 0 && why.code == SPAWN_E_TIMED_OUT) {
        if (limit_ms >= 0) {
            limit_ms -= spawn_mono_ms() - start;
            if (limit_ms < 0)
                limit_ms = 0;
        }
        PERL_ASYNC_CHECK();
        rv = spawn_perl_wait_done(aTHX_ endpoint, &job->id, limit_ms, answer,
                                  &why);
        if (rv == 0) {
            spawn_failure_set(&why, SPAWN_E_TIMED_OUT, SPAWN_STEP_RECEIVE, 0,
                              "the job has not ended in time; it goes on, and "
                              "the error's job tells of it");
            rv = -1;
        }
        else if (rv < 0)
            not_told(&why);
    }
    if (rv < 0)
        fail(aTHX_ endpoint, job, slice, &why);
}

/* Send, and do not wait for the end. */
static void submit_only(pTHX_ int endpoint, spawn_perl_job *job,
                        const spawn_perl_asked *asked)
{
    uint32_t timeout_ms;
    spawn_client *client = spawn_perl_client(endpoint, &timeout_ms);
    spawn_answer *answer = NULL;
    spawn_failure why;

    if (job->until_request)
        client = spawn_perl_bind(aTHX_ endpoint, job, asked->request);
    if (job->reply == SPAWN_REPLY_STARTED)
        answer = spawn_perl_answer_new(aTHX);
    if (hand_over(client, job, asked, timeout_ms, answer, &why) == 0)
        return;
    if (why.code == SPAWN_E_START_FAILED && answer
        && answer->message.header.type == SPAWN_M_JOB)
        (void)spawn_client_start_failed(&answer->message, &why);
    fail(aTHX_ endpoint, job, timeout_ms, &why);
}

static SV *values_of(pTHX_ int endpoint, const spawn_perl_job *job,
                     const spawn_message *m)
{
    SV *handle = sv_2mortal(handle_of(aTHX_ endpoint, job, NULL));

    return newRV_inc((SV *)spawn_perl_returned(aTHX_ m, job->objects, handle));
}

SV *spawn_perl_submit(pTHX_ int endpoint, SV **args, SSize_t count,
                      const spawn_perl_asked *asked, spawn_perl_verb verb,
                      unsigned want)
{
    spawn_perl_asked parent;
    spawn_perl_job *job;
    spawn_answer *answer;
    spawn_failure why;
    SV *ret = NULL;

    spawn_perl_enter(aTHX);
    job = spawn_perl_job_new(aTHX);
    job->choose = spawn_perl_httpd_queues(endpoint);
    job->request = asked ? asked->request : NULL;
    if (!asked) {
        spawn_perl_asked_by_job(aTHX_ & parent);
        asked = &parent;
    }
    spawn_perl_job_fill(aTHX_ job, args, count, asked->pairs, asked->count,
                        verb, want);
    if (job->reply == SPAWN_REPLY_FINISHED) {
        spawn_perl_not_bound(aTHX_ job, "run, call and reply: finished wait "
                                        "for the end of the job themselves; "
                                        "spawn and spawn_call take it");
        answer = spawn_perl_answer_new(aTHX);
        submit_and_wait(aTHX_ endpoint, job, asked, answer);
        if (spawn_client_start_failed(&answer->message, &why))
            spawn_perl_throw(aTHX_ & why, handle_of(aTHX_ endpoint, job, NULL));
        if (verb == SPAWN_PERL_RUN)
            ret = spawn_perl_result(aTHX_ endpoint, &answer->message);
        else if (verb == SPAWN_PERL_CALL)
            ret = values_of(aTHX_ endpoint, job, &answer->message);
    }
    else {
        submit_only(aTHX_ endpoint, job, asked);
    }
    if (!ret)
        ret = handle_of(aTHX_ endpoint, job, NULL);
    LEAVE;
    return ret;
}

/* Only what is accepted, and is the job that it seems to be. */
static bool may_be_later(const spawn_perl_job *job)
{
    return job->id_is_new && job->reply == SPAWN_REPLY_ACCEPTED
           && !(job->seen & 1ull << SPAWN_A_UNIQUE);
}

SV *spawn_perl_submit_later(pTHX_ int endpoint, SV **args, SSize_t count,
                            spawn_perl_verb verb, unsigned want)
{
    spawn_submitted *sent = NULL;
    spawn_perl_asked parent;
    spawn_perl_job *job;
    spawn_failure why;
    sigset_t before;
    AV *ret;
    int rv = 1;

    spawn_perl_enter(aTHX);
    job = spawn_perl_job_new(aTHX);
    job->choose = spawn_perl_httpd_queues(endpoint);
    spawn_perl_asked_by_job(aTHX_ & parent);
    spawn_perl_job_fill(aTHX_ job, args, count, parent.pairs, parent.count,
                        verb, want);
    spawn_perl_not_bound(aTHX_ job, "a process of Apache2::Spawn::Process is "
                                    "its object's, and ends with that");
    if (may_be_later(job)) {
        spawn_client *client = spawn_perl_client(endpoint, NULL);

        spawn_perl_signals_off(&before);
        rv = spawn_client_send(client, &job->w, job->fds, job->fds_count, &sent,
                               &why);
        spawn_perl_signals_on(&before);
    }
    if (rv < 0)
        fail(aTHX_ endpoint, job, 0, &why);
    if (rv > 0)
        submit_only(aTHX_ endpoint, job, &parent);
    ret = newAV();
    av_push(ret, handle_of(aTHX_ endpoint, job, NULL));
    av_push(ret, sent ? spawn_perl_submitted(aTHX_ endpoint, &job->id, sent)
                      : newSV(0));
    LEAVE;
    return newRV_noinc((SV *)ret);
}
