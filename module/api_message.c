/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a description to a SUBMIT message. Runs in httpd children, in the thread
 * that has the job. Must check nothing: client/ does, for all callers.
 */
#include "module/api_message.h"

#include <string.h>

#include "module/arguments.h"

static void put_texts(spawn_writer *w, uint16_t attr,
                      const apr_array_header_t *texts)
{
    size_t mark = spawn_open_strv(w, attr);
    int i;

    for (i = 0; i < texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(texts, i, const char *);

        spawn_add_text(w, mark, text, strlen(text));
    }
    spawn_close(w, mark);
}

static void put_what(spawn_writer *w, const spawn_job *job)
{
    if (job->argv)
        put_texts(w, SPAWN_A_ARGV, job->argv);
    if (!job->function)
        return;
    spawn_put_str(w, SPAWN_A_FUNCTION, job->function);
    spawn_put_u64(w, SPAWN_A_WANT, SPAWN_WANT_VOID);
    if (job->args->nelts > 0)
        spawn_put_arguments(job->pool, w, job->args, 0);
}

/* ---- pairs ---- */

static const spawn_api_pair *pair_of(const apr_array_header_t *pairs,
                                     const char *name)
{
    int i;

    for (i = 0; i < pairs->nelts; i++) {
        const spawn_api_pair *pair = &APR_ARRAY_IDX(pairs, i, spawn_api_pair);

        if (strcmp(pair->name, name) == 0)
            return pair;
    }
    return NULL;
}

/* unset: a pair without a value goes as its name alone. */
static void add_pairs(spawn_writer *w, size_t mark,
                      const apr_array_header_t *pairs, bool unset)
{
    int i;

    for (i = 0; i < pairs->nelts; i++) {
        const spawn_api_pair *pair = &APR_ARRAY_IDX(pairs, i, spawn_api_pair);
        const char *text = pair->text ? pair->text : pair->name;

        if (pair->text || unset)
            spawn_add_text(w, mark, text, strlen(text));
    }
}

static void put_pairs(spawn_writer *w, const spawn_job *job, bool with_request)
{
    size_t mark;
    int i;

    if (job->env->nelts > 0) {
        mark = spawn_open_strv(w, SPAWN_A_ENV);
        add_pairs(w, mark, job->env, true);
        spawn_close(w, mark);
    }
    with_request = with_request && job->request->nelts > 0;
    if (!with_request && job->context->nelts == 0)
        return;
    mark = spawn_open_strv(w, SPAWN_A_CONTEXT);
    for (i = 0; with_request && i < job->request->nelts; i++) {
        const spawn_api_pair *pair =
            &APR_ARRAY_IDX(job->request, i, spawn_api_pair);

        if (!pair_of(job->context, pair->name))
            spawn_add_text(w, mark, pair->text, strlen(pair->text));
    }
    add_pairs(w, mark, job->context, false);
    spawn_close(w, mark);
}

/* ---- streams and descriptors ---- */

static void put_data(spawn_writer *w, const spawn_job *job)
{
    static const spawn_stdio from_data = {SPAWN_STDIO_DATA, 0, 0, ""};

    if (!job->data)
        return;
    spawn_put_stdio(w, SPAWN_A_STDIN, &from_data);
    spawn_put_bytes(w, SPAWN_A_STDIN_DATA, job->data, job->data_length);
}

static void put_fds(spawn_writer *w, const spawn_job *job, int *fds)
{
    static const uint16_t streams[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                       SPAWN_A_STDERR};
    uint64_t pairs[2 * SPAWN_JOB_FDS_MAX];
    uint32_t used = 0;
    unsigned i;

    for (i = 0; i < job->fds_count; i++) {
        spawn_stdio passed = {SPAWN_STDIO_FD, 0, (uint16_t)i, ""};
        int target = job->fds[i].target;

        fds[i] = job->fds[i].fd;
        if (target <= 2) {
            spawn_put_stdio(w, streams[target], &passed);
        }
        else {
            pairs[used++] = i;
            pairs[used++] = (uint64_t)target;
        }
    }
    if (used > 0)
        spawn_put_u64v(w, SPAWN_A_FDS, pairs, used);
}

unsigned spawn_api_message(const spawn_job *job, const char *queue,
                           spawn_until until, bool with_request,
                           spawn_writer *w, int *fds)
{
    unsigned i;

    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(w, SPAWN_A_ID, &job->id);
    put_what(w, job);
    for (i = 0; i < SPAWN_API_FIELDS; i++) {
        if (job->options[i].length > 0)
            spawn_put_raw(w, job->options[i].data, job->options[i].length);
    }
    if (!job->queue && strcmp(queue, SPAWN_DEFAULT_QUEUE) != 0)
        spawn_put_str(w, SPAWN_A_QUEUE, queue);
    put_data(w, job);
    put_fds(w, job, fds);
    if (job->limits->nelts > 0)
        spawn_put_u64v(w, SPAWN_A_LIMITS, (const uint64_t *)job->limits->elts,
                       (uint32_t)job->limits->nelts);
    put_pairs(w, job, with_request);
    spawn_put_u64(w, SPAWN_A_REPLY, (uint64_t)until);
    (void)spawn_writer_finish(w, job->fds_count);
    return job->fds_count;
}
