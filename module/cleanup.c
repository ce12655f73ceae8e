/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs for after the answer. A request keeps them, as finished messages, in its
 * pool. The pool is destroyed when the end-of-request bucket has passed the
 * output filters: then the kernel (HTTP/1) or the session (HTTP/2) has the
 * whole answer, and nothing holds the client. A cleanup of the pool posts the
 * jobs in that moment, before those of other modules: mod_perl's waits for an
 * interpreter where requests share them, and so for other requests.
 *
 * Runs in httpd children, in any thread. Must run no Perl (what Perl knows was
 * written down when the job was registered), and never wait: a job that cannot
 * be posted at once goes to the spool.
 */
#include "module/cleanup.h"

#include <unistd.h>

#include "module/cleanup_sent.h"
#include "module/context.h"
#include "module/endpoint.h"
#include "module/few.h"
#include "module/queue_access.h"
#include "module/request_jobs.h"
#include "module/spool.h"
#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_spool.h"

typedef struct cleanup_job cleanup_job;
struct cleanup_job {
    cleanup_job *next;
    const unsigned char *message;
    apr_size_t length;
    const char *queue; /* that it does not name; NULL: none */
    spawn_cleanup_when when;
};

/* How a request ended. */
typedef struct {
    int status;
    apr_off_t bytes_sent;
    bool aborted;
} request_end;

/* The notes of a request, in the request_config of the first one. */
typedef struct {
    request_rec *first;
    pid_t pid; /* a process that a handler forks has nothing to post */
    cleanup_job *jobs, **last;
    bool logged; /* end is filled */
    request_end end;
} pending;

/* In the place of `pending` in a request that was logged and has no jobs. */
static pending logged_without_jobs;

static spawn_few lost_lines;

/* ---- the end of the request ---- */

static void take_end(request_rec *first, request_end *end)
{
    const request_rec *r = spawn_last_request(first);

    end->status = r->status;
    end->bytes_sent = r->bytes_sent;
    end->aborted = spawn_cleanup_aborted(first);
}

static pending *pending_of(request_rec *first)
{
    return ap_get_module_config(first->request_config, &spawn_module);
}

int spawn_cleanup_log_last(request_rec *r)
{
    request_rec *first = spawn_first_request(r);
    pending *p = pending_of(first);

    if (!p) {
        ap_set_module_config(first->request_config, &spawn_module,
                             &logged_without_jobs);
    }
    else if (p != &logged_without_jobs) {
        take_end(first, &p->end);
        p->logged = true;
    }
    return DECLINED;
}

static bool wanted(spawn_cleanup_when when, const request_end *end)
{
    switch (when) {
    case SPAWN_CLEANUP_SUCCESS:
        return end->status < 400 && !end->aborted;
    case SPAWN_CLEANUP_ERROR:
        return end->status >= 400;
    case SPAWN_CLEANUP_ABORTED:
        return end->aborted;
    default:
        return true;
    }
}

/* ---- the context ---- */

typedef struct {
    spawn_writer *w;
    size_t mark;
    const spawn_attr *given; /* the caller's own part, or NULL */
} context;

static bool is_given(const spawn_attr *given, const char *name)
{
    size_t length = strlen(name);
    const char *text = NULL;
    uint32_t i;

    for (i = 0; given && i < spawn_strv_count(given); i++) {
        text = spawn_strv_next(given, text);
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return true;
    }
    return false;
}

static void add(const context *c, const char *name, const char *value)
{
    char text[SPAWN_CONTEXT_VALUE_MAX + 32];
    int n;

    if (is_given(c->given, name))
        return;
    n = apr_snprintf(text, sizeof(text), "%s=%s", name, value);
    spawn_add_text(c->w, c->mark, text, (size_t)n);
}

static void add_number(const context *c, const char *name, apr_int64_t value)
{
    char text[24];

    (void)apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, value);
    add(c, name, text);
}

/* The given context, then the client's request and the answer that it got. */
static void put_context(spawn_writer *w, const spawn_attr *given,
                        request_rec *first, const request_end *end)
{
    spawn_context_pair pairs[SPAWN_CONTEXT_PAIRS];
    unsigned count = spawn_request_context(first, pairs), k;
    context c = {w, spawn_open_strv(w, SPAWN_A_CONTEXT), given};
    const char *text = NULL;
    uint32_t i;

    for (i = 0; given && i < spawn_strv_count(given); i++) {
        text = spawn_strv_next(given, text);
        spawn_add_text(w, c.mark, text, strlen(text));
    }
    for (k = 0; k < count; k++)
        add(&c, pairs[k].name, pairs[k].value);
    add_number(&c, "status", end->status);
    add_number(&c, "bytes_sent", end->bytes_sent);
    add_number(&c, "aborted", end->aborted);
    spawn_close(w, c.mark);
}

/* ---- posting ---- */

typedef struct {
    spawn_id id;
    const spawn_attr *context; /* or NULL */
    const char *queue;         /* that it does not name, or NULL */
    const char *what;          /* function or program */
    spawn_message message;
} parsed;

static void parse(const cleanup_job *job, parsed *ret)
{
    const spawn_attr *argv = &ret->message.attr[SPAWN_A_ARGV];

    /* it was checked when it was registered */
    (void)spawn_message_parse(job->message, job->length, SPAWN_FROM_CALLER, 0,
                              &ret->message, NULL);
    spawn_attr_id(&ret->message.attr[SPAWN_A_ID], &ret->id);
    ret->queue = job->queue;
    ret->context = spawn_has(&ret->message, SPAWN_A_CONTEXT)
                       ? &ret->message.attr[SPAWN_A_CONTEXT]
                       : NULL;
    ret->what = spawn_str_or(&ret->message, SPAWN_A_FUNCTION, NULL);
    if (!ret->what && spawn_has(&ret->message, SPAWN_A_ARGV)
        && spawn_strv_count(argv) > 0)
        ret->what = spawn_strv_next(argv, NULL);
}

/* The whole message, of that type. */
static int build(spawn_writer *w, uint16_t type, const parsed *job,
                 request_rec *first, const request_end *end)
{
    unsigned id;

    spawn_writer_begin(w, type, 0);
    for (id = 1; id < SPAWN_A_COUNT; id++) {
        if (spawn_has(&job->message, id) && id != SPAWN_A_CONTEXT
            && id != SPAWN_A_REPLY)
            spawn_put_attr(w, (uint16_t)id, &job->message.attr[id]);
    }
    if (job->queue)
        spawn_put_str(w, SPAWN_A_QUEUE, job->queue);
    spawn_put_u64(w, SPAWN_A_REPLY, SPAWN_REPLY_POSTED);
    put_context(w, job->context, first, end);
    return spawn_writer_finish(w, 0);
}

/* 0, or a negative errno when neither socket nor spool took it. */
static int send_off(const parsed *job, request_rec *first,
                    const request_end *end)
{
    const spawn_child_endpoint *endpoint = spawn_child_endpoint_get();
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    rv = build(&w, SPAWN_M_POST, job, first, end);
    if (rv == 0) {
        spawn_writer_set_seq(&w, spawn_seq(0, spawn_os_cpu()));
        if (!endpoint || endpoint->post_fd < 0)
            rv = -ENOTCONN;
        else if (w.length > SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX)
            rv = -EMSGSIZE;
        else
            rv =
                spawn_packet_send(endpoint->post_fd, w.data, w.length, NULL, 0);
        if (rv < 0) {
            spawn_writer_set_type(&w, SPAWN_M_SUBMIT);
            rv = spawn_spool_write(&job->id, w.data, w.length);
        }
    }
    spawn_writer_free(&w);
    return rv;
}

/* A cleanup of the request's pool, after log_transaction (which runs in a
 * pre-cleanup of the same pool). It may come twice. */
static apr_status_t request_ends(void *data)
{
    pending *p = data;
    cleanup_job *job;

    if (p->pid != getpid())
        return APR_SUCCESS;
    if (!p->logged) {
        /* its connection was closed before the request was finished */
        take_end(p->first, &p->end);
        p->end.aborted = true;
        p->logged = true;
    }
    for (job = p->jobs; job; job = job->next) {
        parsed it;
        int rv;

        if (!wanted(job->when, &p->end))
            continue;
        parse(job, &it);
        rv = send_off(&it, p->first, &p->end);
        if (rv < 0
            && spawn_few_lines(&lost_lines, p->first->server, APLOG_ERR,
                               "MS0211", "all jobs")) {
            const char *request = spawn_request_id(p->first);
            char id[SPAWN_ID_TEXT];

            ap_log_error(APLOG_MARK, APLOG_ERR, -rv, p->first->server,
                         MSNO(0211) "job %s (request %.100s, %.200s) for after "
                                    "the answer is lost: it could neither be "
                                    "posted nor written to the spool",
                         spawn_id_format(&it.id, id), request ? request : "-",
                         it.what ? it.what : "?");
        }
    }
    /* a cleanup that comes after this one may register another job */
    p->jobs = NULL;
    p->last = &p->jobs;
    ap_set_module_config(p->first->request_config, &spawn_module,
                         &logged_without_jobs);
    return APR_SUCCESS;
}

/* The first thing when the pool goes: httpd's log of the request was registered
 * after this, and came before. Where it was not (there is no end-of-request
 * bucket yet, or an output filter left a job as it passed), request_ends knows
 * more, which comes last. */
static apr_status_t request_was_logged(void *data)
{
    const pending *p = data;

    return p->logged ? request_ends(data) : APR_SUCCESS;
}

/* ---- registering ---- */

static pending *pending_new(request_rec *first, bool logged)
{
    pending *p = apr_pcalloc(first->pool, sizeof(*p));

    p->first = first;
    p->pid = getpid();
    p->last = &p->jobs;
    if (logged) {
        take_end(first, &p->end);
        p->logged = true;
    }
    ap_set_module_config(first->request_config, &spawn_module, p);
    apr_pool_pre_cleanup_register(first->pool, p, request_was_logged);
    apr_pool_cleanup_register(first->pool, p, request_ends,
                              apr_pool_cleanup_null);
    return p;
}

apr_status_t spawn_cleanup_register(request_rec *r, const void *message,
                                    apr_size_t length, spawn_cleanup_when when)
{
    request_rec *first = spawn_first_request(r);
    pending *p = pending_of(first);
    const char *named, *queue;
    cleanup_job *job;
    spawn_message m;
    char text[400];

    if (length > SPAWN_WIRE_HEADER + SPAWN_CLEANUP_MAX)
        return APR_ENOSPC;
    if (spawn_message_parse(message, length, SPAWN_FROM_CALLER, 0, &m, NULL) < 0
        || m.header.type != SPAWN_M_SUBMIT
        || m.attr[SPAWN_A_CONTEXT].length > SPAWN_CLEANUP_CONTEXT_MAX)
        return APR_EINVAL;
    named = spawn_str_or(&m, SPAWN_A_QUEUE, NULL);
    queue = spawn_queue_choose(r, NULL, named, text, sizeof(text));
    if (!queue)
        return APR_EACCES;
    if (!p || p == &logged_without_jobs)
        p = pending_new(first, p != NULL);
    job = apr_palloc(first->pool, sizeof(*job));
    job->next = NULL;
    job->message = apr_pmemdup(first->pool, message, length);
    job->length = length;
    job->when = when;
    job->queue = named || strcmp(queue, SPAWN_DEFAULT_QUEUE) == 0
                     ? NULL
                     : apr_pstrdup(first->pool, queue);
    *p->last = job;
    p->last = &job->next;
    spawn_request_job(first, m.attr[SPAWN_A_ID].data);
    return APR_SUCCESS;
}
