/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How another module describes a job. Runs in httpd, in the thread that has the
 * job. Must copy what it is given, keep the first fault, and send nothing.
 */
#include "module/api_job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "apr_strings.h"

#include "module/api_info.h"
#include "module/context.h"
#include "module/queue_access.h"

/* Most bytes of one option: a path, or 64 ids. */
#define OPTION_MAX 8192

static spawn_failure *begin(spawn_job *job, spawn_failure *room)
{
    memset(room, 0, sizeof(*room));
    return job ? room : NULL;
}

/* The end of each function: keep the fault, if it is the first. */
static apr_status_t done(spawn_job *job, const spawn_failure *fault)
{
    if (!fault)
        return APR_EINVAL; /* no job */
    if (fault->code != SPAWN_E_OK && job->fault.code == SPAWN_E_OK)
        job->fault = *fault;
    return spawn_api_status(fault->code, 0);
}

#define INVALID(f, ...)                                                        \
    spawn_failure_set(f, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__)
#define TOO_BIG(f, ...)                                                        \
    spawn_failure_set(f, SPAWN_E_TOO_BIG, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__)

static void set_id(spawn_job *job, const spawn_id *id, bool is_new)
{
    job->id = *id;
    job->id_is_new = is_new;
    (void)spawn_id_format(id, job->id_text);
}

/* ---- the request ---- */

static apr_status_t request_has_gone(void *data)
{
    spawn_job *job = data;

    job->r = NULL;
    return APR_SUCCESS;
}

static apr_status_t job_has_gone(void *data)
{
    spawn_job *job = data;

    if (job->r)
        apr_pool_cleanup_kill(job->r->pool, job, request_has_gone);
    return APR_SUCCESS;
}

/* Either of the two pools may be the older one. */
static void keep_request(spawn_job *job, request_rec *r)
{
    job->r = r;
    if (job->pool == r->pool)
        return;
    apr_pool_cleanup_register(r->pool, job, request_has_gone,
                              apr_pool_cleanup_null);
    apr_pool_cleanup_register(job->pool, job, job_has_gone,
                              apr_pool_cleanup_null);
}

spawn_job *spawn_job_make(apr_pool_t *p, request_rec *r, server_rec *s)
{
    spawn_job *job;
    spawn_id id;
    int rv;

    if (!p && !r)
        return NULL;
    if (!p)
        p = r->pool;
    job = apr_pcalloc(p, sizeof(*job));
    job->pool = p;
    job->server = s || !r ? s : r->server;
    job->queues = spawn_queues_keep(p, spawn_queues_of(r, s));
    job->of_request = r != NULL;
    job->env = apr_array_make(p, 4, sizeof(spawn_api_pair));
    job->context = apr_array_make(p, 4, sizeof(spawn_api_pair));
    job->request = apr_array_make(p, 6, sizeof(spawn_api_pair));
    job->limits = apr_array_make(p, 4, sizeof(uint64_t));
    if (r) {
        spawn_context_pair pairs[SPAWN_CONTEXT_PAIRS];
        unsigned count = spawn_request_context(r, pairs), i;

        keep_request(job, r);
        for (i = 0; i < count; i++) {
            spawn_api_pair *pair = apr_array_push(job->request);

            pair->name = pairs[i].name; /* a constant */
            pair->text =
                apr_pstrcat(p, pairs[i].name, "=", pairs[i].value, NULL);
        }
    }
    rv = spawn_id_make(&id);
    if (rv == 0)
        set_id(job, &id, true);
    else
        spawn_failure_set(&job->fault, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, -rv,
                          "no random bytes for the job's id: %s",
                          strerrordesc_np(-rv));
    return job;
}

const char *spawn_job_id(const spawn_job *job)
{
    return job ? job->id_text : NULL;
}

/* ---- what it runs ---- */

static const apr_array_header_t *copy_texts(apr_pool_t *p,
                                            const char *const *texts)
{
    apr_array_header_t *ret = apr_array_make(p, 8, sizeof(const char *));

    for (; texts && *texts; texts++)
        APR_ARRAY_PUSH(ret, const char *) = apr_pstrdup(p, *texts);
    return ret;
}

/* More is refused, and need not be copied for that. */
static bool fits(const char *const *texts, size_t most)
{
    size_t size = 0;

    for (; texts && *texts; texts++) {
        size += strlen(*texts) + 1;
        if (size > most)
            return false;
    }
    return true;
}

apr_status_t spawn_job_program(spawn_job *job, const char *const *argv)
{
    spawn_failure room, *fault = begin(job, &room);

    if (!fault)
        return done(job, fault);
    if (!argv || !argv[0] || !*argv[0]) {
        INVALID(fault, "argv: no program; wanted: program, argument, ..., "
                       "NULL");
    }
    else if (!fits(argv, SPAWN_REQUEST_MAX)) {
        TOO_BIG(fault, "argv: it has more than %u MB", SPAWN_REQUEST_MAX >> 20);
    }
    else {
        job->argv = copy_texts(job->pool, argv);
        job->function = NULL;
        job->args = NULL;
    }
    return done(job, fault);
}

apr_status_t spawn_job_function(spawn_job *job, const char *name,
                                const char *const *args)
{
    spawn_failure room, *fault = begin(job, &room);

    if (!fault)
        return done(job, fault);
    if (!name || !*name) {
        INVALID(fault, "function: no name; wanted: the full name, such as "
                       "My::Report::build");
    }
    else if (!fits(args, SPAWN_ARGS_MAX)) {
        TOO_BIG(fault, "args: they have more than %u MB", SPAWN_ARGS_MAX >> 20);
    }
    else {
        job->function = apr_pstrdup(job->pool, name);
        job->args = copy_texts(job->pool, args);
        job->argv = NULL;
    }
    return done(job, fault);
}

/* ---- streams and descriptors ---- */

/* The number that a stream has in the job, or -1 for another attribute. */
static int number_of(unsigned attr)
{
    switch (attr) {
    case SPAWN_A_STDIN:
        return 0;
    case SPAWN_A_STDOUT:
        return 1;
    case SPAWN_A_STDERR:
        return 2;
    default:
        return -1;
    }
}

static size_t place_of(const spawn_field *field)
{
    return (size_t)(field - spawn_field_at(0));
}

/* A value that was set for this number before counts no more. */
static void forget_number(spawn_job *job, int number)
{
    unsigned i;

    for (i = 0; i < SPAWN_API_FIELDS; i++) {
        if (number_of(spawn_field_at(i)->attr) == number)
            job->options[i].length = 0;
    }
    if (number == 0)
        job->data = NULL;
    for (i = 0; i < job->fds_count; i++) {
        if (job->fds[i].target == number) {
            job->fds[i] = job->fds[--job->fds_count];
            break;
        }
    }
}

apr_status_t spawn_job_data(spawn_job *job, const void *data, apr_size_t length)
{
    spawn_failure room, *fault = begin(job, &room);

    if (!fault)
        return done(job, fault);
    if (!data && length > 0) {
        INVALID(fault, "stdin: the data is NULL");
    }
    else if (length > SPAWN_STDIN_MAX) {
        TOO_BIG(fault,
                "stdin: data of %lu bytes; at most %u MB go with a job, more "
                "goes by a file or a descriptor",
                (unsigned long)length, SPAWN_STDIN_MAX >> 20);
    }
    else {
        forget_number(job, 0);
        job->data = length ? apr_pmemdup(job->pool, data, length) : "";
        job->data_length = length;
    }
    return done(job, fault);
}

apr_status_t spawn_job_fd(spawn_job *job, int target, int fd)
{
    spawn_failure room, *fault = begin(job, &room);

    if (!fault)
        return done(job, fault);
    if (target < 0) {
        INVALID(fault, "fds: %d is not the number of a descriptor", target);
    }
    else if (fcntl(fd, F_GETFD) < 0) {
        INVALID(fault, "fds: %d: descriptor %d is not open", target, fd);
    }
    else {
        forget_number(job, target);
        if (job->fds_count == SPAWN_JOB_FDS_MAX) {
            TOO_BIG(fault, "fds: at most %d descriptors can go with a job",
                    SPAWN_JOB_FDS_MAX);
        }
        else {
            job->fds[job->fds_count].target = target;
            job->fds[job->fds_count++].fd = fd;
        }
    }
    return done(job, fault);
}

/* ---- options ---- */

/* The option of that name that has this kind of value, or NULL with why. */
static const spawn_field *find(const char *name, bool pairs, spawn_failure *why)
{
    const spawn_field *field = name ? spawn_field_find(name) : NULL;
    bool has_pairs;

    if (!field) {
        spawn_failure_set(why, SPAWN_E_UNKNOWN_OPTION, SPAWN_STEP_OPTIONS, 0,
                          "there is no option '%.64s'", name ? name : "(NULL)");
        return NULL;
    }
    has_pairs =
        field->form == SPAWN_FORM_MAP || field->form == SPAWN_FORM_LIMITS;
    if (field->attr == SPAWN_A_REPLY)
        INVALID(why, "reply: it is the argument 'until' of spawn_job_submit");
    else if (field->form == SPAWN_FORM_FDS)
        INVALID(why, "fds: spawn_job_fd sets a descriptor");
    else if (has_pairs && !pairs)
        INVALID(why, "%s: it has pairs: spawn_job_pair sets one", field->name);
    else if (!has_pairs && pairs)
        INVALID(why, "%s: it has no pairs: spawn_job_option sets it",
                field->name);
    else
        return field;
    return NULL;
}

static void keep_option(spawn_job *job, const spawn_field *field,
                        const char *value, spawn_failure *why)
{
    uint8_t room[OPTION_MAX];
    spawn_writer w;
    spawn_id id;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    if (spawn_field_put_text(&w, field, value, why))
        return;
    if (spawn_writer_finish(&w, 0)) {
        TOO_BIG(why, "%s: the value has %lu bytes, which is too much",
                field->name, (unsigned long)strlen(value));
        return;
    }
    if (field->attr == SPAWN_A_ID) {
        (void)spawn_id_parse(value, &id);
        set_id(job, &id, false);
        return;
    }
    if (field->attr == SPAWN_A_QUEUE)
        job->queue = apr_pstrdup(job->pool, value);
    if (number_of(field->attr) >= 0)
        forget_number(job, number_of(field->attr));
    job->options[place_of(field)].length = w.length - SPAWN_WIRE_HEADER;
    job->options[place_of(field)].data = apr_pmemdup(
        job->pool, room + SPAWN_WIRE_HEADER, w.length - SPAWN_WIRE_HEADER);
}

apr_status_t spawn_job_option(spawn_job *job, const char *name,
                              const char *value)
{
    spawn_failure room, *fault = begin(job, &room);
    const spawn_field *field = fault ? find(name, false, fault) : NULL;

    if (field && !value)
        INVALID(fault, "%s: the value is NULL; leave it out for its default",
                name);
    else if (field)
        keep_option(job, field, value, fault);
    return done(job, fault);
}

static void keep_limit(spawn_job *job, const char *name, const char *value,
                       spawn_failure *why)
{
    uint64_t *known = (uint64_t *)job->limits->elts, limit, number;
    int i;

    if (spawn_parse_limit(name, "unlimited", &limit, &number) < 0) {
        INVALID(why,
                "limits: there is no limit '%.64s'; "
                "wanted: " SPAWN_LIMIT_NAMES,
                name);
        return;
    }
    if (!value || spawn_parse_limit(name, value, &limit, &number) < 0) {
        INVALID(why,
                "limits: %s: '%.100s' is not allowed; wanted: a whole number "
                "(K, M or G may follow), or unlimited",
                name, value ? value : "(NULL)");
        return;
    }
    for (i = 0; i < job->limits->nelts; i += 2) {
        if (known[i] == limit) {
            known[i + 1] = number;
            return;
        }
    }
    APR_ARRAY_PUSH(job->limits, uint64_t) = limit;
    APR_ARRAY_PUSH(job->limits, uint64_t) = number;
}

static void keep_pair(spawn_job *job, apr_array_header_t *pairs,
                      const char *name, const char *value)
{
    spawn_api_pair *pair = (spawn_api_pair *)pairs->elts;
    int i;

    for (i = 0; i < pairs->nelts && strcmp(pair[i].name, name) != 0; i++)
        ;
    pair = i < pairs->nelts ? &pair[i] : apr_array_push(pairs);
    pair->name = apr_pstrdup(job->pool, name);
    pair->text = value ? apr_pstrcat(job->pool, name, "=", value, NULL) : NULL;
}

apr_status_t spawn_job_pair(spawn_job *job, const char *option,
                            const char *name, const char *value)
{
    spawn_failure room, *fault = begin(job, &room);
    const spawn_field *field = fault ? find(option, true, fault) : NULL;

    if (!field)
        return done(job, fault);
    if (!name || !*name || strchr(name, '=')) {
        INVALID(fault,
                "%s: '%.100s' is not a name: it must not be empty and have no "
                "'=' inside",
                option, name ? name : "(NULL)");
    }
    else if (strlen(name) + (value ? strlen(value) : 0) > SPAWN_REQUEST_MAX) {
        TOO_BIG(fault, "%s: '%.100s' has more than %u MB", option, name,
                SPAWN_REQUEST_MAX >> 20);
    }
    else if (field->form == SPAWN_FORM_LIMITS) {
        keep_limit(job, name, value, fault);
    }
    else {
        keep_pair(job, field->attr == SPAWN_A_ENV ? job->env : job->context,
                  name, value);
    }
    return done(job, fault);
}
