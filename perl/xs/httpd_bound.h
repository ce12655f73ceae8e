/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of Httpd.xs: what is kept of a job until its request has ended. Runs in httpd
 * children; the end in any thread. Must run no Perl at the end, where there may
 * be no interpreter.
 */

static apr_status_t bound_over(void *bound)
{
    perl_api->bound_over(bound);
    return APR_SUCCESS;
}

/* The client's own request, as with cleanups: a part of it (a subrequest, an
 * internal redirect) may end long before the answer. */
static void bind_to_request(void *request, spawn_perl_bound *bound)
{
    request_rec *r = request;

    while (r->main || r->prev)
        r = r->main ? r->main : r->prev;
    apr_pool_cleanup_register(r->pool, bound, bound_over,
                              apr_pool_cleanup_null);
}
