/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Did the client give up a stream of HTTP/2? mod_http2 marks the stream's
 * connection as aborted when the stream is closed before the request has quite
 * ended, and a client that has its whole answer may close it in just that
 * moment. So the mark alone says nothing. A filter looks whether the session
 * took the end of the answer: then nothing was aborted.
 *
 * Runs in httpd children, on the thread that works on the request. Must pass
 * every bucket on, in its order.
 */

#include "module/cleanup_sent.h"
#include "http_request.h"
#include "util_filter.h"

#ifdef __clang__
/* APR's macros for a brigade's end cause it */
#pragma clang diagnostic ignored "-Wnull-pointer-subtraction"
#endif

#define FILTER_NAME "SPAWN_ANSWER_SENT"

typedef struct {
    bool failed; /* something was not taken */
    bool all;    /* everything was taken, up to the end */
} sent;

static ap_filter_rec_t *filter;

/* The end of the answer in the brigade, or its sentinel; NULL when the end of
 * the request is there: its pool is then destroyed, with our context. */
static apr_bucket *end_in(apr_bucket_brigade *bb)
{
    apr_bucket *b, *end = APR_BRIGADE_SENTINEL(bb);

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_EOR(b))
            return NULL;
        if (APR_BUCKET_IS_EOS(b) && end == APR_BRIGADE_SENTINEL(bb))
            end = b;
    }
    return end;
}

/* A client may take an answer of a known length as whole before its end. */
static bool has_length(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_out, "Content-Length");

    return length && r->bytes_sent >= apr_atoi64(length);
}

/* The end is held back until everything before it was taken: once the end is
 * passed on, the stream may be closed. */
static apr_status_t pass(ap_filter_t *f, apr_bucket_brigade *bb)
{
    sent *ctx = f->ctx;
    apr_bucket *end = end_in(bb);
    apr_bucket_brigade *rest = NULL;
    apr_status_t rv = APR_SUCCESS;

    if (!end)
        return ap_pass_brigade(f->next, bb);
    if (end != APR_BRIGADE_SENTINEL(bb))
        rest = apr_brigade_split_ex(bb, end, NULL);
    if (!rest || !APR_BRIGADE_EMPTY(bb))
        rv = ap_pass_brigade(f->next, bb);
    if (rv != APR_SUCCESS)
        ctx->failed = true;
    else if (rest && !ctx->failed)
        ctx->all = !f->c->aborted || has_length(f->r);
    return rest && rv == APR_SUCCESS ? ap_pass_brigade(f->next, rest) : rv;
}

void spawn_cleanup_sent_register(void)
{
    filter =
        ap_register_output_filter(FILTER_NAME, pass, NULL, AP_FTYPE_PROTOCOL);
}

int spawn_cleanup_sent_watch(request_rec *r)
{
    if (r->connection->master && !r->main)
        (void)ap_add_output_filter_handle(
            filter, apr_pcalloc(r->pool, sizeof(sent)), r, r->connection);
    return DECLINED;
}

bool spawn_cleanup_aborted(request_rec *first)
{
    const ap_filter_t *f;

    if (!first->connection->aborted)
        return false;
    if (first->connection->master) {
        for (f = first->proto_output_filters; f; f = f->next) {
            if (f->frec == filter)
                return !((const sent *)f->ctx)->all;
        }
    }
    return true;
}
