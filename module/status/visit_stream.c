/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A visitor's job as server-sent events (text/event-stream): an event for each
 * change, comments in between, so that nobody on the way takes the connection
 * for a dead one. Runs in httpd children, in the thread of the request. Must
 * end when the request has waited long enough: the browser comes again by
 * itself, and says which event it had last.
 */
#include "module/status/visit.h"

#include <string.h>

#include "http_protocol.h"

#include "common/spawn_os.h"

#define AGAIN_MS       1000 /* after which the browser comes again */
#define AGAIN_CROWD_MS 5000 /* the same, when too many wait */

bool spawn_visit_wants_stream(const spawn_visit *v)
{
    const char *accept = apr_table_get(v->page.r->headers_in, "Accept");

    return accept && ap_strcasestr(accept, "text/event-stream");
}

/* False when the visitor has gone. */
static bool send_now(spawn_visit *v)
{
    request_rec *r = v->page.r;
    apr_bucket_brigade *out = v->page.out;
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_flush_create(out->bucket_alloc));
    rv = ap_pass_brigade(r->output_filters, out);
    (void)apr_brigade_cleanup(out);
    return rv == APR_SUCCESS && !r->connection->aborted;
}

static bool send_event(spawn_visit *v)
{
    char seen[SPAWN_SEEN_TEXT];

    spawn_page_format(&v->page, "id: %s\ndata: ", spawn_visit_seen(v, seen));
    spawn_visit_told(v);
    spawn_page_html(&v->page, "\n\n");
    return send_now(v);
}

/* A comment. */
static bool send_sign(spawn_visit *v)
{
    spawn_page_html(&v->page, ":\n\n");
    return send_now(v);
}

/* Goes on until the job is over, the time is, or somebody leaves. */
static void follow(spawn_visit *v, int64_t until)
{
    spawn_visit_end end = SPAWN_VISIT_CHANGED;
    int64_t left;

    v->idle = send_sign;
    while (end == SPAWN_VISIT_CHANGED && !spawn_visit_over(v)
           && (left = until - spawn_mono_ms()) > 0) {
        end = spawn_visit_wait(v, left);
        if (end == SPAWN_VISIT_CHANGED && !send_event(v))
            return;
    }
    if (end != SPAWN_VISIT_CROWD)
        return;
    spawn_page_format(&v->page, "retry: %d\n\n", AGAIN_CROWD_MS);
    (void)send_now(v);
}

int spawn_visit_stream(spawn_visit *v)
{
    const char *last = apr_table_get(v->page.r->headers_in, "Last-Event-ID");
    int64_t until = spawn_mono_ms() + v->wait_ms;
    char seen[SPAWN_SEEN_TEXT];
    bool known;

    if (!last)
        last = spawn_page_arg(&v->page, "seen");
    known = strcmp(last, spawn_visit_seen(v, seen)) == 0;
    /* there is nothing more to come: browsers do not ask again after this */
    if (known && spawn_visit_over(v))
        return HTTP_NO_CONTENT;
    ap_set_content_type(v->page.r, "text/event-stream; charset=utf-8");
    /* for a proxy that would rather have it whole */
    apr_table_setn(v->page.r->headers_out, "X-Accel-Buffering", "no");
    if (v->page.r->header_only)
        return OK;
    spawn_page_format(&v->page, "retry: %d\n\n",
                      v->wait_ms ? AGAIN_MS : AGAIN_CROWD_MS);
    if (known ? send_now(v) : send_event(v))
        follow(v, until);
    return OK;
}
