/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context of a job: the request that wants it. For Apache2::Spawn and for
 * the C API; a job for after the answer gets more (cleanup.c).
 *
 * Runs in httpd children, in the thread that works on the request. Must bound
 * each value: clients choose most of them, and a job with too much context is
 * refused.
 */
#include "module/context.h"

#include <string.h>

#include "apr_strings.h"
#include "apr_tables.h"
#include "http_log.h"

request_rec *spawn_first_request(request_rec *r)
{
    for (;;) {
        if (r->main)
            r = r->main;
        else if (r->prev)
            r = r->prev;
        else
            return r;
    }
}

request_rec *spawn_last_request(request_rec *r)
{
    while (r->next)
        r = r->next;
    return r;
}

const char *spawn_request_id(request_rec *r)
{
    request_rec *first = spawn_first_request(r);
    const char *id = apr_table_get(first->subprocess_env, "UNIQUE_ID");

    /* httpd makes it when it writes the first line about the request */
    if (!id && !first->log_id)
        (void)ap_run_generate_log_id(first->connection, first, &first->log_id);
    return id ? id : first->log_id;
}

typedef struct {
    apr_pool_t *pool;
    spawn_context_pair *pairs;
    unsigned count;
} context;

static void add(context *c, const char *name, const char *value, size_t most)
{
    if (!value || !*value)
        return;
    if (strlen(value) > most)
        value = apr_pstrmemdup(c->pool, value, most);
    c->pairs[c->count].name = name;
    c->pairs[c->count++].value = value;
}

unsigned spawn_request_context(request_rec *r, spawn_context_pair *pairs)
{
    const char *vhost = r->server->server_hostname;
    /* may have been found out after a redirect */
    const char *user = spawn_last_request(r)->user;
    context c = {r->pool, pairs, 0};

    add(&c, "request_id", spawn_request_id(r), SPAWN_CONTEXT_SHORT_MAX);
    add(&c, "vhost", vhost ? vhost : r->hostname, SPAWN_CONTEXT_SHORT_MAX);
    add(&c, "user", user ? user : r->user, SPAWN_CONTEXT_SHORT_MAX);
    add(&c, "client", r->useragent_ip, SPAWN_CONTEXT_SHORT_MAX);
    add(&c, "uri", r->unparsed_uri, SPAWN_CONTEXT_VALUE_MAX);
    add(&c, "method", r->method, SPAWN_CONTEXT_SHORT_MAX);
    return c.count;
}
