/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, queues and processes as JSON. Runs in httpd children, in the thread of
 * the request. Names are those of the wire's attributes, as in ctl/json.c, and
 * must stay: t/httpd/status_json.t compares the two.
 */
#include "module/status/told.h"

#include <string.h>

#define KEY(attr)   spawn_attr_name(attr)
#define OUTPUT_MOST (1 << 20)

static void add_number(spawn_page *page, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_number(page, KEY(attr), spawn_attr_u64(&m->attr[attr]));
}

static void add_text(spawn_page *page, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_text(page, KEY(attr), spawn_attr_str(&m->attr[attr]));
}

static void add_time(spawn_page *page, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_time(page, KEY(attr), spawn_attr_u64(&m->attr[attr]));
}

static void add_texts(spawn_page *page, const spawn_message *m, unsigned attr)
{
    const spawn_attr *a = &m->attr[attr];
    const char *text = NULL;
    uint32_t i;

    if (!spawn_has(m, attr))
        return;
    spawn_json_open(page, KEY(attr), '[');
    for (i = 0; i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        spawn_json_text(page, NULL, text);
    }
    spawn_json_close(page, ']');
}

/* ---- parts of a job ---- */

/* Is it a number as JSON has them? */
static bool json_number(const char *text)
{
    const char *p = text + (*text == '-');
    size_t digits = strspn(p, "0123456789");

    if (digits == 0 || (digits > 1 && *p == '0') || digits > 15)
        return false;
    p += digits;
    if (*p == '.') {
        digits = strspn(++p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    return *p == '\0';
}

/* Parts that the job left out are left out. */
void spawn_told_progress(spawn_page *page, const spawn_message *m)
{
    static const char *const names[] = {"done", "of", "text"};
    const spawn_attr *a = &m->attr[SPAWN_A_PROGRESS];
    const char *text = NULL;
    unsigned i;

    if (!spawn_has(m, SPAWN_A_PROGRESS) || spawn_strv_count(a) != 3)
        return;
    spawn_json_open(page, KEY(SPAWN_A_PROGRESS), '{');
    for (i = 0; i < 3; i++) {
        text = spawn_strv_next(a, text);
        if (*text && i < 2 && json_number(text))
            spawn_json_word(page, names[i], text);
        else if (*text)
            spawn_json_text(page, names[i], text);
    }
    spawn_json_close(page, '}');
}

static void add_context(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_CONTEXT];
    const char *text = NULL;
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_CONTEXT))
        return;
    spawn_json_open(page, KEY(SPAWN_A_CONTEXT), '{');
    for (i = 0; i < spawn_strv_count(a); i++) {
        const char *equals;

        text = spawn_strv_next(a, text);
        equals = strchr(text, '=');
        if (equals)
            spawn_json_text(page,
                            apr_pstrmemdup(page->r->pool, text,
                                           (apr_size_t)(equals - text)),
                            equals + 1);
    }
    spawn_json_close(page, '}');
}

static void add_rusage(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_RUSAGE];
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_RUSAGE))
        return;
    spawn_json_open(page, KEY(SPAWN_A_RUSAGE), '{');
    for (i = 0; i < spawn_u64v_count(a) && i < SPAWN_RU_ALL; i++) {
        if (spawn_u64v_at(a, i) != SPAWN_RU_UNKNOWN)
            spawn_json_number(page, spawn_rusage_name(i), spawn_u64v_at(a, i));
    }
    spawn_json_close(page, '}');
}

static void add_after(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_AFTER];
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    size_t at;

    if (!spawn_has(m, SPAWN_A_AFTER))
        return;
    spawn_json_open(page, KEY(SPAWN_A_AFTER), '[');
    for (at = 0; at + SPAWN_ID_SIZE <= a->length; at += SPAWN_ID_SIZE) {
        memcpy(id.bytes, a->data + at, SPAWN_ID_SIZE);
        spawn_json_text(page, NULL, spawn_id_format(&id, text));
    }
    spawn_json_close(page, ']');
}

static void add_failure_of(spawn_page *page, const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (!spawn_has(m, SPAWN_A_FAILURE_OF))
        return;
    spawn_attr_id(&m->attr[SPAWN_A_FAILURE_OF], &id);
    spawn_json_text(page, KEY(SPAWN_A_FAILURE_OF), spawn_id_format(&id, text));
}

/* ---- outputs ---- */

/* An answer is built in the child's memory, where each byte may take six. */
static bool too_much(spawn_page *page, const char *key, size_t length)
{
    if (length <= OUTPUT_MOST)
        return false;
    spawn_json_number(page, apr_pstrcat(page->r->pool, key, "_not_shown", NULL),
                      length);
    return true;
}

static void add_bytes(spawn_page *page, const char *key, const uint8_t *data,
                      size_t length)
{
    if (too_much(page, key, length))
        return;
    if (!spawn_json_bytes(page, key, data, length))
        spawn_json_base64(page,
                          apr_pstrcat(page->r->pool, key, "_base64", NULL),
                          data, length);
}

/* The kept part of an output: all, or beginning and end (or nothing). */
static void add_output(spawn_page *page, const spawn_message *m, unsigned attr,
                       unsigned which)
{
    const spawn_attr *a = &m->attr[attr];
    uint64_t cut = spawn_cut_of(m, which);
    size_t head = a->length;

    if (!spawn_has(m, attr))
        return;
    if (cut && head > SPAWN_KEPT_HEAD)
        head = SPAWN_KEPT_HEAD;
    add_bytes(page, KEY(attr), a->data, head);
    if (!cut)
        return;
    add_bytes(page, apr_pstrcat(page->r->pool, KEY(attr), "_end", NULL),
              a->data + head, a->length - head);
    spawn_json_number(page, apr_pstrcat(page->r->pool, KEY(attr), "_cut", NULL),
                      cut);
}

static void add_outputs(spawn_page *page, const spawn_message *m)
{
    const spawn_attr *result = &m->attr[SPAWN_A_RESULT];
    const char *kind = spawn_result_kind_name(m);

    if (kind)
        spawn_json_text(page, KEY(SPAWN_A_RESULT_KIND), kind);
    if (spawn_has(m, SPAWN_A_RESULT)
        && !too_much(page, "result", result->length))
        spawn_json_base64(page, "result_base64", result->data, result->length);
    if (spawn_cut_of(m, 2))
        spawn_json_number(page, "result_cut", spawn_cut_of(m, 2));
    add_output(page, m, SPAWN_A_OUT, 0);
    add_number(page, m, SPAWN_A_OUT_LOST);
    add_output(page, m, SPAWN_A_ERR, 1);
    add_number(page, m, SPAWN_A_ERR_LOST);
    if (spawn_has(m, SPAWN_A_LOG_TAIL))
        add_bytes(page, KEY(SPAWN_A_LOG_TAIL), m->attr[SPAWN_A_LOG_TAIL].data,
                  m->attr[SPAWN_A_LOG_TAIL].length);
}

/* ---- a job ---- */

static void add_elapsed(spawn_page *page, const spawn_message *m)
{
    uint64_t us = spawn_u64_or(m, SPAWN_A_ELAPSED, 0);

    if (!spawn_has(m, SPAWN_A_ELAPSED))
        return;
    spawn_json_word(page, KEY(SPAWN_A_ELAPSED),
                    apr_psprintf(page->r->pool,
                                 "%" APR_UINT64_T_FMT ".%06" APR_UINT64_T_FMT,
                                 us / 1000000, us % 1000000));
    spawn_json_number(page, "elapsed_ms", us / 1000);
}

/* How a job, or an attempt at it, ended. */
static void add_end(spawn_page *page, const spawn_message *m)
{
    add_number(page, m, SPAWN_A_PID);
    if (spawn_has(m, SPAWN_A_OUTCOME))
        spawn_json_text(
            page, KEY(SPAWN_A_OUTCOME),
            spawn_outcome_name((unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0)));
    add_number(page, m, SPAWN_A_EXIT_CODE);
    add_number(page, m, SPAWN_A_SIGNAL);
    if (spawn_has(m, SPAWN_A_CORE))
        spawn_json_word(page, KEY(SPAWN_A_CORE),
                        spawn_u64_or(m, SPAWN_A_CORE, 0) ? "true" : "false");
    if (spawn_has(m, SPAWN_A_STEP))
        spawn_json_text(
            page, KEY(SPAWN_A_STEP),
            spawn_step_name((unsigned)spawn_u64_or(m, SPAWN_A_STEP, 0)));
    add_number(page, m, SPAWN_A_ERRNO);
    add_text(page, m, SPAWN_A_TEXT);
    add_time(page, m, SPAWN_A_SUBMITTED_AT);
    add_time(page, m, SPAWN_A_DUE_AT);
    add_time(page, m, SPAWN_A_EXPIRES_AT);
    add_time(page, m, SPAWN_A_STARTED_AT);
    add_time(page, m, SPAWN_A_ENDED_AT);
    add_elapsed(page, m);
}

static void add_attempt(void *arg, const spawn_message *attempt)
{
    spawn_page *page = arg;

    spawn_json_open(page, NULL, '{');
    add_number(page, attempt, SPAWN_A_ATTEMPT);
    add_end(page, attempt);
    add_outputs(page, attempt);
    spawn_json_close(page, '}');
}

/* A list has none. */
typedef struct {
    spawn_page *page;
    bool any;
} own_rules;

static void add_own_rule(void *arg, const char *name, const char *text)
{
    own_rules *own = arg;

    if (!own->any)
        spawn_json_open(own->page, "rules", '{');
    own->any = true;
    spawn_json_text(own->page, name, text);
}

static void add_own_rules(spawn_page *page, const spawn_message *m)
{
    own_rules own = {page, false};

    spawn_job_rules_each(m, add_own_rule, &own);
    if (own.any)
        spawn_json_close(page, '}');
}

void spawn_told_job(spawn_page *page, const char *key, const spawn_message *m)
{
    char id_text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    spawn_json_open(page, key, '{');
    spawn_json_text(page, KEY(SPAWN_A_ID), spawn_id_format(&id, id_text));
    spawn_json_text(
        page, KEY(SPAWN_A_STATE),
        spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0)));
    add_text(page, m, SPAWN_A_QUEUE);
    add_texts(page, m, SPAWN_A_ARGV);
    add_number(page, m, SPAWN_A_ARGV_CUT);
    add_text(page, m, SPAWN_A_FUNCTION);
    add_text(page, m, SPAWN_A_LABEL);
    add_context(page, m);
    if (spawn_has(m, SPAWN_A_PRIORITY))
        spawn_json_signed(page, KEY(SPAWN_A_PRIORITY),
                          spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY]));
    add_own_rules(page, m);
    add_after(page, m);
    add_failure_of(page, m);
    add_text(page, m, SPAWN_A_UNIQUE);
    add_number(page, m, SPAWN_A_SEQ);
    add_number(page, m, SPAWN_A_ATTEMPT);
    if (spawn_has(m, SPAWN_A_DEAD))
        spawn_json_word(page, KEY(SPAWN_A_DEAD), "true");
    add_end(page, m);
    add_number(page, m, SPAWN_A_HANDLES);
    add_rusage(page, m);
    spawn_told_progress(page, m);
    add_outputs(page, m);
    if (spawn_has(m, SPAWN_A_ATTEMPTS)) {
        spawn_json_open(page, KEY(SPAWN_A_ATTEMPTS), '[');
        spawn_attempts_each(m, add_attempt, page);
        spawn_json_close(page, ']');
    }
    spawn_json_close(page, '}');
}

/* ---- a queue ---- */

static void number_or_null(spawn_page *page, const char *key,
                           const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_number(page, key, spawn_u64_or(m, attr, 0));
    else
        spawn_json_word(page, key, "null");
}

static void time_or_null(spawn_page *page, const char *key,
                         const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        spawn_json_time(page, key, spawn_u64_or(m, attr, 0));
    else
        spawn_json_word(page, key, "null");
}

/* Rules of one name come one after another. */
typedef struct {
    spawn_page *page;
    const char *several; /* "env", "allow": an array that is open */
} rules;

static void close_several(rules *of)
{
    if (of->several)
        spawn_json_close(of->page, ']');
    of->several = NULL;
}

static void add_rule(void *arg, const char *name, const char *text)
{
    rules *of = arg;
    bool several = strcmp(name, "env") == 0 || strcmp(name, "allow") == 0;

    if (of->several && strcmp(name, of->several) != 0)
        close_several(of);
    if (several && !of->several) {
        spawn_json_open(of->page, name, '[');
        of->several = name;
    }
    spawn_json_text(of->page, several ? NULL : name, text);
}

void spawn_told_queue(spawn_page *page, const spawn_message *m)
{
    rules of = {page, NULL};

    spawn_json_open(page, NULL, '{');
    add_text(page, m, SPAWN_A_QUEUE);
    spawn_json_text(page, "state", spawn_queue_state_name(m));
    spawn_json_word(page, "configured",
                    spawn_u64_or(m, SPAWN_A_REMOVED, 0) ? "false" : "true");
    number_or_null(page, "running", m, SPAWN_A_RUNNING);
    number_or_null(page, "waiting", m, SPAWN_A_WAITING);
    number_or_null(page, "delayed", m, SPAWN_A_DELAYED);
    time_or_null(page, "oldest_at", m, SPAWN_A_OLDEST_AT);
    spawn_json_number(page, "max_jobs", spawn_queue_most(m));
    number_or_null(page, "configured_max_jobs", m, SPAWN_A_MAX_JOBS);
    number_or_null(page, "max_queued", m, SPAWN_A_MAX_QUEUED);
    number_or_null(page, "max_delayed", m, SPAWN_A_MAX_DELAYED);
    time_or_null(page, "changed_at", m, SPAWN_A_CHANGED_AT);
    number_or_null(page, "changed_by", m, SPAWN_A_CHANGED_BY);
    spawn_json_text(page, "template", spawn_str_or(m, SPAWN_A_TEMPLATE, ""));
    number_or_null(page, "workers_min", m, SPAWN_A_WORKERS_MIN);
    number_or_null(page, "workers_max", m, SPAWN_A_WORKERS_MAX);
    spawn_json_open(page, "rules", '{');
    spawn_queue_rules_each(m, add_rule, &of);
    close_several(&of);
    spawn_json_close(page, '}');
    spawn_json_close(page, '}');
}

/* ---- a process of a template, or a worker ---- */

const char *spawn_told_kind(const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_QUEUE))
        return "worker";
    switch (spawn_u64_or(m, SPAWN_A_TEMPLATE_KIND, 0)) {
    case SPAWN_TEMPLATE_EXEC:
        return "exec";
    case SPAWN_TEMPLATE_PARENT:
        return "parent";
    default:
        return NULL;
    }
}

/* The first row of a template is about all of it. */
static void add_whole(spawn_page *page, const spawn_message *m)
{
    uint64_t per_job;
    const spawn_attr *pids = &m->attr[SPAWN_A_PIDS];
    const spawn_attr *faults = &m->attr[SPAWN_A_FAULTS];
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_RUNNING))
        return;
    add_number(page, m, SPAWN_A_RUNNING);
    spawn_json_open(page, "pids", '[');
    for (i = 0; spawn_has(m, SPAWN_A_PIDS) && i < spawn_u64v_count(pids); i++)
        spawn_json_number(page, NULL, spawn_u64v_at(pids, i));
    spawn_json_close(page, ']');
    spawn_json_number(page, "spares_most",
                      spawn_u64_or(m, SPAWN_A_TEMPLATE_SPARES, 0));
    if (!spawn_has(m, SPAWN_A_FAULTS) || spawn_u64v_count(faults) != 2)
        return;
    spawn_json_number(page, "jobs_ended", spawn_u64v_at(faults, 0));
    spawn_json_number(page, "faults", spawn_u64v_at(faults, 1));
    if (!spawn_private_per_job(m, &per_job))
        return;
    spawn_json_number(page, "private_per_job", per_job);
    spawn_json_word(page, "estimated", "true");
}

void spawn_told_process(spawn_page *page, const spawn_message *m)
{
    const char *kind = spawn_told_kind(m);

    spawn_json_open(page, NULL, '{');
    add_text(page, m, SPAWN_A_TEMPLATE);
    if (kind)
        spawn_json_text(page, "kind", kind);
    add_text(page, m, SPAWN_A_QUEUE);
    spawn_json_text(page, "state",
                    spawn_process_name(
                        (unsigned)spawn_u64_or(m, SPAWN_A_PROCESS_STATE, 0)));
    add_text(page, m, SPAWN_A_TEXT);
    add_number(page, m, SPAWN_A_PID);
    add_time(page, m, SPAWN_A_STARTED_AT);
    add_number(page, m, SPAWN_A_SERVED);
    if (spawn_has(m, SPAWN_A_RESIDENT))
        spawn_json_number(page, "rss", spawn_u64_or(m, SPAWN_A_RESIDENT, 0));
    add_whole(page, m);
    spawn_json_close(page, '}');
}
