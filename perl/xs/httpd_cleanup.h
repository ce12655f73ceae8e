/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of Httpd.xs: spawn_cleanup, and the functions of the module that
 * SpawnCleanupHandler needs. Runs in httpd children, in a handler.
 */

/* The job was checked: it has a form and size that the module takes. */
static void cleanup_later(void *request, const void *message, size_t length,
                          unsigned when)
{
    APR_OPTIONAL_FN_TYPE(spawn_cleanup_register) *later =
        APR_RETRIEVE_OPTIONAL_FN(spawn_cleanup_register);

    (void)later(request, message, length, (spawn_cleanup_when)when);
}

/* Of mod_perl's modperl_global.h: what Apache2::RequestUtil->request gives. */
apr_status_t modperl_tls_get_request_rec(request_rec **data);

static void *current_request(void **ret_server)
{
    request_rec *r = NULL;

    if (modperl_tls_get_request_rec(&r) != APR_SUCCESS || !r)
        return NULL;
    *ret_server = r->server;
    return r;
}

static const apr_array_header_t *cleanup_handlers(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(spawn_cleanup_handlers) *get =
        APR_RETRIEVE_OPTIONAL_FN(spawn_cleanup_handlers);

    return get ? get(r) : NULL;
}
