/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context of a job: the request that wants it. For Apache2::Spawn and for
 * the C API; a job for after the answer gets more (cleanup.c).
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#include "module/context.h"

#include <string.h>

#include "apr_strings.h"
#include "apr_tables.h"

#define URI_MAX 1000

static void add(spawn_context_pair *pairs, unsigned *count, const char *name,
                const char *value)
{
    if (!value || !*value)
        return;
    pairs[*count].name = name;
    pairs[*count].value = value;
    (*count)++;
}

unsigned spawn_request_context(request_rec *r, spawn_context_pair *pairs)
{
    const char *id = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    const char *vhost = r->server->server_hostname;
    const char *uri = r->unparsed_uri;
    unsigned count = 0;

    if (uri && strlen(uri) > URI_MAX)
        uri = apr_pstrmemdup(r->pool, uri, URI_MAX);
    add(pairs, &count, "request_id", id ? id : r->log_id);
    add(pairs, &count, "vhost", vhost ? vhost : r->hostname);
    add(pairs, &count, "user", r->user);
    add(pairs, &count, "client", r->useragent_ip);
    add(pairs, &count, "uri", uri);
    add(pairs, &count, "method", r->method);
    return count;
}
