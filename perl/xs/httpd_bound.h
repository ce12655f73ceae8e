/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of Httpd.xs: what is kept of a job until its request has ended. Runs in httpd
 * children; the end in any thread. Must run no Perl at the end, where there may
 * be no interpreter.
 */

typedef struct {
    spawn_perl_bound *bound;
    server_rec *s;
} kept_job;

static apr_status_t bound_over(void *arg)
{
    kept_job *kept = arg;
    char id[SPAWN_ID_TEXT];
    spawn_failure why;

    if (perl_api->bound_over(kept->bound, id, &why) < 0)
        bound_untold(kept->s, id, why.text);
    return APR_SUCCESS;
}

/* The client's own request, as with cleanups: a part of it (a subrequest, an
 * internal redirect) may end long before the answer. */
static void bind_to_request(void *request, spawn_perl_bound *bound)
{
    request_rec *r = request;
    kept_job *kept;

    while (r->main || r->prev)
        r = r->main ? r->main : r->prev;
    kept = apr_palloc(r->pool, sizeof(*kept));
    kept->bound = bound;
    kept->s = r->server;
    apr_pool_cleanup_register(r->pool, kept, bound_over, apr_pool_cleanup_null);
}
