/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetHandler spawn-job: GET .../ID, with a token, by a visitor of the
 * application. Runs in httpd children, in the thread of the request. Must not
 * show whether there is a job to a visitor without a token for it, and must ask
 * nobody about it before the token is known to be good.
 */
#include "module/status/visitor.h"

#include <string.h>

#include "http_protocol.h"
#include "http_request.h"

#include "common/spawn_field.h"
#include "common/spawn_seen.h"
#include "module/few.h"
#include "module/job_token.h"
#include "module/job_wait.h"
#include "module/status/ask.h"
#include "module/status/visit.h"

#define SPAWN_VISITOR_NAME "spawn-job"

/* ---- the answer ---- */

static int send_json(spawn_visit *v)
{
    request_rec *r = v->page.r;
    apr_off_t length;

    spawn_page_html(&v->page, "\n");
    if (apr_brigade_length(v->page.out, 1, &length) == APR_SUCCESS)
        ap_set_content_length(r, length);
    /* a visitor who went away is no fault; httpd adds the end */
    (void)ap_pass_brigade(r->output_filters, v->page.out);
    return OK;
}

static int fail(spawn_visit *v, int status, const char *code, const char *text)
{
    v->page.r->status = status;
    if (status == HTTP_SERVICE_UNAVAILABLE)
        apr_table_setn(v->page.r->headers_out, "Retry-After", "5");
    spawn_visit_fault(v, code, text);
    return send_json(v);
}

/* Why it is so is the administrator's to know. */
static int no_answer(spawn_visit *v)
{
    static spawn_few few;
    const spawn_page *page = &v->page;

    if (page->status == HTTP_NOT_FOUND)
        return fail(v, HTTP_NOT_FOUND, spawn_error_name(page->why.code),
                    "nothing is known of this job: it is older than what is "
                    "kept, or it is not stored yet");
    if (spawn_few_lines(&few, page->r->server, APLOG_WARNING, "MS0980",
                        "questions of visitors"))
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, page->r,
                      MSNO(0980) "a visitor's question about a job is not "
                                 "answered: %s",
                      page->why.text);
    return fail(v, HTTP_SERVICE_UNAVAILABLE, "unreachable",
                "nobody can say it just now; ask again later");
}

/* ---- the question ---- */

/* Where the handler is, does not matter: the job is the last part. */
static bool read_id(spawn_visit *v)
{
    const char *name = strrchr(v->page.r->uri, '/');

    return name && spawn_id_parse(name + 1, &v->id) == 0;
}

/* A header is in no log, and a browser's EventSource cannot send one. */
static const char *bearer_of(const spawn_visit *v)
{
    const char *given = apr_table_get(v->page.r->headers_in, "Authorization");

    if (given && ap_cstr_casecmpn(given, "Bearer ", 7) == 0) {
        for (given += 7; *given == ' '; given++)
            ;
        return given;
    }
    return NULL;
}

/* One without a right id has a wrong token, too. */
static bool may_know(spawn_visit *v)
{
    const char *bearer = bearer_of(v);
    bool named = read_id(v);
    bool good = bearer && spawn_job_token_good(&v->id, bearer);

    /* the header may be for somebody else, before us */
    good |= spawn_job_token_good(&v->id, spawn_page_arg(&v->page, "token"));
    return good & named;
}

/* False: it is no time. */
static bool read_wait(spawn_visit *v, bool streams)
{
    const char *text = spawn_page_arg(&v->page, "wait");
    const spawn_job_waits *may = spawn_job_waits_of(v->page.r);
    uint64_t ms = 0;

    if (*text && spawn_parse_duration(text, &ms) < 0)
        return false;
    if (streams || ms > (uint64_t)may->longest_ms)
        ms = (uint64_t)may->longest_ms;
    v->wait_ms = (int64_t)ms;
    v->watchers = spawn_job_waits_most(may);
    return true;
}

/* ---- the handler ---- */

static int tell(spawn_visit *v)
{
    const char *had = spawn_page_arg(&v->page, "seen");
    char seen[SPAWN_SEEN_TEXT];

    if (!v->page.r->header_only && v->wait_ms > 0 && !spawn_visit_over(v)
        && (!*had || strcmp(had, spawn_visit_seen(v, seen)) == 0)) {
        switch (spawn_visit_wait(v, v->wait_ms)) {
        case SPAWN_VISIT_CROWD:
            apr_table_setn(v->page.r->headers_out, "Retry-After", "2");
            break;
        case SPAWN_VISIT_FAILED:
            v->page.status = HTTP_SERVICE_UNAVAILABLE;
            return no_answer(v);
        default:
            break;
        }
    }
    spawn_visit_told(v);
    return send_json(v);
}

static int answer(spawn_visit *v)
{
    bool streams = spawn_visit_wants_stream(v);
    int rv;

    if (!may_know(v))
        return fail(v, HTTP_FORBIDDEN, "not_permitted",
                    "a token is needed for this job, and this is none, or one "
                    "whose time is over");
    if (!read_wait(v, streams))
        return fail(v, HTTP_BAD_REQUEST, "invalid",
                    "wait: wanted: seconds, such as 20");
    if (spawn_ask_job(&v->page, &v->id, false, &v->job))
        return no_answer(v);
    v->seen = spawn_seen_of(&v->job.message);
    rv = streams ? spawn_visit_stream(v) : tell(v);
    spawn_answer_free(&v->job);
    return rv;
}

int spawn_visitor_handler(request_rec *r)
{
    spawn_visit v;
    int rv;

    if (!r->handler || strcmp(r->handler, SPAWN_VISITOR_NAME) != 0)
        return DECLINED;
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET)
        return HTTP_METHOD_NOT_ALLOWED;
    rv = ap_discard_request_body(r);
    if (rv != OK)
        return rv;
    memset(&v, 0, sizeof(v));
    v.page.r = r;
    v.page.out = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    spawn_page_read_query(&v.page);
    spawn_page_headers(&v.page, "application/json");
    return answer(&v);
}
