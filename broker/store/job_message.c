/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JOB messages from memory, and the parts that they share with those from the
 * store (read.c). Runs in the broker. Must change no job.
 */
#include "broker/store/job_message.h"

#include <string.h>

#include "common/spawn_escape.h"
#include "broker/job/changes.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/attempts.h"

static void add(spawn_writer *w, size_t mark, const char *text, size_t room)
{
    spawn_add_text(w, mark, text, strnlen(text, room - 1));
}

void spawn_answer_progress(const spawn_progress *p, spawn_writer *w)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_PROGRESS);

    add(w, mark, p->done, sizeof(p->done));
    add(w, mark, p->of, sizeof(p->of));
    add(w, mark, p->text, sizeof(p->text));
    spawn_close(w, mark);
}

/* The first bytes of the arguments; how many are left out is told, with the end
 * of each. */
static void put_argv(const spawn_attr *argv, size_t most, spawn_writer *w)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ARGV);
    uint32_t left = spawn_strv_count(argv);
    const char *text = NULL;
    uint64_t cut = 0;

    while (left-- > 0) {
        size_t length, part;

        text = spawn_strv_next(argv, text);
        length = part = strlen(text);
        if (length > most)
            part = spawn_escape_whole(text, most);
        if (most > 0)
            spawn_add_text(w, mark, text, part);
        cut += length - part + (most == 0);
        most -= length < most ? length + 1 : most;
    }
    spawn_close(w, mark);
    if (cut)
        spawn_put_u64(w, SPAWN_A_ARGV_CUT, cut);
}

static void put_those(const spawn_message *order, const uint8_t *attrs,
                      size_t count, spawn_writer *w)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (spawn_has(order, attrs[i]))
            spawn_put_attr(w, attrs[i], &order->attr[attrs[i]]);
    }
}

/* No value of a variable is told, nor what comes from stdin. */
void spawn_answer_order(const void *body, size_t length, size_t argv_most,
                        bool rules, spawn_writer *w)
{
    static const uint8_t told[] = {
        SPAWN_A_FUNCTION, SPAWN_A_LABEL, SPAWN_A_CONTEXT,   SPAWN_A_PRIORITY,
        SPAWN_A_UNIQUE,   SPAWN_A_AFTER, SPAWN_A_FAILURE_OF};
    static const uint8_t own[] = {
        SPAWN_A_CWD,       SPAWN_A_USER,    SPAWN_A_GROUP, SPAWN_A_STDOUT,
        SPAWN_A_STDERR,    SPAWN_A_TIMEOUT, SPAWN_A_GRACE, SPAWN_A_NICE,
        SPAWN_A_IONICE,    SPAWN_A_LIMITS,  SPAWN_A_RETRY, SPAWN_A_LEFTOVERS,
        SPAWN_A_ON_FAILURE};
    const spawn_attr *argv;
    spawn_message order;

    if (spawn_body_parse(body, length, SPAWN_M_SUBMIT, SPAWN_FDS_MAX, &order,
                         NULL))
        return;
    argv = &order.attr[SPAWN_A_ARGV];
    if (spawn_has(&order, SPAWN_A_ARGV) && argv->length <= argv_most)
        spawn_put_attr(w, SPAWN_A_ARGV, argv);
    else if (spawn_has(&order, SPAWN_A_ARGV))
        put_argv(argv, argv_most, w);
    put_those(&order, told, sizeof(told), w);
    if (rules)
        put_those(&order, own, sizeof(own), w);
}

static void put_known(spawn_writer *w, uint16_t attr, int64_t value)
{
    if (value)
        spawn_put_u64(w, attr, (uint64_t)value);
}

static void put_result(const spawn_returned *kept, bool with_output,
                       spawn_writer *w)
{
    spawn_put_u64(w, SPAWN_A_RESULT_KIND,
                  kept->kind > 0 ? (uint64_t)kept->kind : SPAWN_RESULT_NONE);
    if (with_output && kept->kind > SPAWN_RESULT_NONE && !kept->lost)
        spawn_put_bytes(w, SPAWN_A_RESULT, kept->data ? kept->data : "",
                        kept->length);
}

static void put_moments(const spawn_rules *r, spawn_writer *w)
{
    if (spawn_moment_is_set(&r->due))
        put_known(w, SPAWN_A_DUE_AT, spawn_moment_time(&r->due));
    if (spawn_moment_is_set(&r->expires))
        put_known(w, SPAWN_A_EXPIRES_AT, spawn_moment_time(&r->expires));
}

static void put_end(const spawn_job *job, spawn_writer *w)
{
    const spawn_end *end = job->end;

    spawn_put_u64(w, SPAWN_A_OUTCOME, end->outcome);
    spawn_put_u64(w, SPAWN_A_ENDED_AT, (uint64_t)end->ended_at);
    if (end->exit_code >= 0)
        spawn_put_u64(w, SPAWN_A_EXIT_CODE, (uint64_t)end->exit_code);
    if (end->signo) {
        spawn_put_u64(w, SPAWN_A_SIGNAL, (uint64_t)end->signo);
        spawn_put_u64(w, SPAWN_A_CORE, end->core);
    }
    if (end->outcome == SPAWN_OUTCOME_START_FAILED) {
        spawn_put_u64(w, SPAWN_A_STEP, end->step);
        spawn_put_u64(w, SPAWN_A_ERRNO, (uint64_t)end->error);
    }
    if (end->elapsed_us >= 0)
        spawn_put_u64(w, SPAWN_A_ELAPSED, (uint64_t)end->elapsed_us);
    if (end->rusage_count)
        spawn_put_u64v(w, SPAWN_A_RUSAGE, end->rusage, end->rusage_count);
    if (end->text)
        spawn_put_str(w, SPAWN_A_TEXT, end->text);
}

/* Of a job that has ended, as the store would tell it. */
static void put_output(const spawn_job *job, spawn_writer *w)
{
    spawn_captured out;
    int i;

    for (i = 0; i < 2; i++) {
        spawn_output_get(job, i, &out);
        if (!out.there)
            continue;
        spawn_put_bytes(w, i ? SPAWN_A_ERR : SPAWN_A_OUT,
                        out.data ? out.data : "", out.length);
        if (out.lost)
            spawn_put_u64(w, i ? SPAWN_A_ERR_LOST : SPAWN_A_OUT_LOST, out.lost);
        spawn_output_put(&out);
    }
}

void spawn_answer_so_far(const spawn_job *job, const uint64_t *from,
                         spawn_writer *w)
{
    spawn_captured out;
    int i;

    for (i = 0; i < 2; i++) {
        size_t at, n;

        spawn_output_get(job, i, &out);
        if (!out.there)
            continue;
        at = from[i] < out.length ? (size_t)from[i] : out.length;
        n = out.length - at;
        if (n > SPAWN_SO_FAR_MAX)
            n = SPAWN_SO_FAR_MAX;
        spawn_put_bytes(w, i ? SPAWN_A_ERR : SPAWN_A_OUT,
                        n ? (const char *)out.data + at : "", n);
        if (out.lost)
            spawn_put_u64(w, i ? SPAWN_A_ERR_LOST : SPAWN_A_OUT_LOST, out.lost);
        spawn_output_put(&out);
    }
}

int spawn_answer_job(const spawn_job *job, bool with_output,
                     const uint64_t *from, uint32_t asked, spawn_writer *w)
{
    spawn_progress progress;

    spawn_writer_begin(w, SPAWN_M_JOB, asked);
    spawn_put_id(w, SPAWN_A_ID, &job->id);
    spawn_put_str(w, SPAWN_A_QUEUE, job->queue->name);
    spawn_put_u64(w, SPAWN_A_STATE,
                  job->again ? SPAWN_STATE_QUEUED : spawn_job_told_state(job));
    if (job->attempt > 1)
        spawn_put_u64(w, SPAWN_A_ATTEMPT, job->attempt);
    put_known(w, SPAWN_A_PID, job->pid);
    spawn_put_u64(w, SPAWN_A_SUBMITTED_AT, (uint64_t)job->submitted_at);
    put_known(w, SPAWN_A_STARTED_AT, job->started_at);
    if (job->state == SPAWN_STATE_QUEUED)
        put_known(w, SPAWN_A_HANDLES, job->fds);
    if (job->state == SPAWN_STATE_QUEUED && job->rules)
        put_moments(job->rules, w);
    if (spawn_job_over(job))
        put_end(job, w);
    put_known(w, SPAWN_A_DEAD, job->dead);
    if (job->perl && job->perl->kept)
        put_result(job->perl->kept, with_output, w);
    if (job->body)
        spawn_answer_order(job->body->data, job->body->length, SIZE_MAX, true,
                           w);
    else if (job->perl && job->perl->function)
        spawn_put_str(w, SPAWN_A_FUNCTION, job->perl->function);
    if (spawn_perl_progress(job, &progress))
        spawn_answer_progress(&progress, w);
    if (with_output && spawn_job_over(job))
        put_output(job, w);
    else if (from && job->state == SPAWN_STATE_RUNNING)
        spawn_answer_so_far(job, from, w);
    if (job->attempt > 1 && job->in_store)
        spawn_store_put_attempts(job->batch->store, job->seq, with_output, w);
    (void)spawn_writer_finish(w, 0);
    return 1;
}
