/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job of another module's is submitted, or registered for after the answer.
 * Runs in httpd children, in any thread. Must not need the job, nor any of its
 * memory, once it has returned.
 */
#include "module/api_message.h"

#include <errno.h>
#include <string.h>

#include "common/spawn_check.h"
#include "common/spawn_spool.h"
#include "module/api_client.h"
#include "module/api_info.h"
#include "module/cleanup.h"
#include "module/queue_access.h"
#include "module/request_jobs.h"

#define FAIL(f, code, ...)                                                     \
    spawn_failure_set(f, code, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__)

/* Is there a job, without a fault? */
static bool described(const spawn_job *job, spawn_failure *why)
{
    memset(why, 0, sizeof(*why));
    if (!job)
        FAIL(why, SPAWN_E_INVALID, "the job is NULL");
    else
        *why = job->fault;
    return why->code == SPAWN_E_OK;
}

/* NULL: it may not run there. */
static const char *queue_of(const spawn_job *job,
                            const spawn_dir_queues *queues, bool of_request,
                            spawn_failure *why)
{
    char text[sizeof(why->text)];
    const char *queue =
        spawn_queues_choose(queues, of_request, job->queue, text, sizeof(text));

    if (!queue)
        FAIL(why, SPAWN_E_NOT_PERMITTED, "%s", text);
    return queue;
}

/* ---- submit ---- */

/* is: the id of the job that is there now, which another one may have that is
 * kept. A job that is submitted again has its own id. */
static int hand_over(spawn_job *job, spawn_client *client, const char *queue,
                     spawn_until until, apr_interval_time_t wait, spawn_id *is,
                     spawn_answer *answer, spawn_failure *why)
{
    int (*submit)(spawn_client *, spawn_writer *, const int *, unsigned,
                  uint32_t, spawn_id *, spawn_answer *, spawn_failure *) =
        job->id_is_new ? spawn_client_submit_new : spawn_client_submit;
    int fds[SPAWN_JOB_FDS_MAX];
    unsigned fds_count;
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    fds_count = spawn_api_message(job, queue, until, true, &w, fds);
    rv = submit(client, &w, fds, fds_count, spawn_api_wait_ms(wait), is, answer,
                why);
    job->id_is_new = false;
    if (job->r && (rv == 0 || spawn_error_leaves_job(why->code)))
        spawn_request_job(job->r, is);
    (void)spawn_id_format(is, job->id_text);
    spawn_writer_free(&w);
    return rv;
}

apr_status_t spawn_job_submit(spawn_job *job, spawn_until until,
                              apr_interval_time_t wait, spawn_job_info *info,
                              spawn_job_failure *why)
{
    bool answered = info || until == SPAWN_UNTIL_FINISHED;
    spawn_client *client = NULL;
    const char *queue = NULL;
    spawn_id is;
    spawn_answer answer;
    spawn_failure fault;
    const spawn_message *m = &answer.message;
    apr_status_t status;

    if (!spawn_api_sized(info, why))
        return APR_EINVAL;
    memset(&answer, 0, sizeof(answer));
    if (job)
        is = job->id;
    if (!described(job, &fault))
        ;
    else if ((unsigned)until > SPAWN_UNTIL_FINISHED)
        FAIL(&fault, SPAWN_E_INVALID,
             "until: %d is not allowed; wanted: posted, accepted, started or "
             "finished",
             (int)until);
    else
        queue = queue_of(job, job->queues, job->of_request, &fault);
    if (queue)
        client = spawn_api_client(job->server, &fault);
    if (client
        && hand_over(job, client, queue, until, wait, &is,
                     answered ? &answer : NULL, &fault)
               == 0
        && m->header.type == SPAWN_M_JOB)
        (void)spawn_client_start_failed(m, &fault);
    status = spawn_api_fail(why, &fault);
    if (job)
        spawn_api_tell(info, job->pool, &is, m->header.type ? m : NULL);
    spawn_answer_free(&answer);
    return status;
}

/* ---- after the answer ---- */

/* As much as the module takes now, and the broker then. */
static void check(const spawn_writer *w, unsigned fds_count, spawn_failure *why)
{
    spawn_message m;

    if (fds_count > 0)
        FAIL(why, SPAWN_E_INVALID,
             "no descriptor can go with a job for after the answer, since it "
             "would have to stay open until then; give a path, or data");
    else if (w->error == -EMSGSIZE
             || w->length > SPAWN_WIRE_HEADER + SPAWN_CLEANUP_MAX)
        FAIL(why, SPAWN_E_TOO_BIG,
             "the job has more than %u bytes; give big data as a file",
             SPAWN_CLEANUP_MAX);
    else if (w->error)
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, -w->error,
                          "the job could not be written down: %s",
                          strerrordesc_np(-w->error));
    else if (spawn_message_parse(w->data, w->length, SPAWN_FROM_CALLER, 0, &m,
                                 why)
                 == 0
             && spawn_job_check(&m, why) == 0
             && m.attr[SPAWN_A_CONTEXT].length > SPAWN_CLEANUP_CONTEXT_MAX)
        FAIL(why, SPAWN_E_TOO_BIG, "context: it has %lu bytes, %u are allowed",
             (unsigned long)m.attr[SPAWN_A_CONTEXT].length,
             SPAWN_CLEANUP_CONTEXT_MAX);
}

apr_status_t spawn_job_cleanup(spawn_job *job, request_rec *r,
                               spawn_cleanup_when when, spawn_job_failure *why)
{
    int fds[SPAWN_JOB_FDS_MAX];
    const char *queue;
    spawn_failure fault;
    spawn_writer w;

    if (!spawn_api_sized(NULL, why))
        return APR_EINVAL;
    if (!described(job, &fault))
        return spawn_api_fail(why, &fault);
    if (!r || (unsigned)when > SPAWN_CLEANUP_ABORTED) {
        FAIL(&fault, SPAWN_E_INVALID, "%s",
             r ? "when: wanted: one of spawn_cleanup_when"
               : "the request is NULL");
        return spawn_api_fail(why, &fault);
    }
    queue = queue_of(job, spawn_queues_of(r, NULL), true, &fault);
    if (!queue)
        return spawn_api_fail(why, &fault);
    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    check(&w, spawn_api_message(job, queue, SPAWN_UNTIL_POSTED, false, &w, fds),
          &fault);
    if (fault.code == SPAWN_E_OK)
        (void)spawn_cleanup_register(r, w.data, w.length, when);
    spawn_writer_free(&w);
    return spawn_api_fail(why, &fault);
}
