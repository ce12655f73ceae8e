/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the broker, one for each SpawnSubmitTimeout: made when first used,
 * shared by all threads. Runs in httpd children, in any thread.
 *
 * The list grows at its head, without a lock, so that a process that a handler
 * forks in the midst of it finds it usable. Nothing takes a client out or
 * closes it: threads may be in a call when a child ends, and httpd may run the
 * cleanups of its pools in a signal handler.
 */
#include "module/api_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http_main.h"

#include "module/endpoint.h"

typedef struct entry {
    const struct entry *next;
    uint32_t timeout_ms;
    int post_fd; /* -1: a handler has closed it */
    spawn_client *client;
} entry;

static const entry *entries;

static spawn_client *find(uint32_t timeout_ms, int post_fd)
{
    const entry *e = __atomic_load_n(&entries, __ATOMIC_ACQUIRE);

    for (; e; e = e->next) {
        if (e->timeout_ms == timeout_ms && e->post_fd == post_fd)
            return e->client;
    }
    return NULL;
}

/* Two threads may add the same: both serve. */
static int add(const spawn_endpoint *endpoint, spawn_client **ret)
{
    entry *e = calloc(1, sizeof(*e));
    int rv;

    if (!e)
        return -ENOMEM;
    e->timeout_ms = endpoint->timeout_ms;
    e->post_fd = endpoint->post_fd;
    rv = spawn_client_open(endpoint, &e->client);
    if (rv) {
        free(e);
        return rv;
    }
    e->next = __atomic_load_n(&entries, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&entries, &e->next, e, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    *ret = e->client;
    return 0;
}

spawn_client *spawn_api_client(server_rec *s, spawn_failure *why)
{
    return spawn_api_client_within(s, UINT32_MAX, why);
}

spawn_client *spawn_api_client_within(server_rec *s, uint32_t most_ms,
                                      spawn_failure *why)
{
    const spawn_child_endpoint *own = spawn_child_endpoint_get();
    spawn_endpoint endpoint = {.name = "httpd"};
    spawn_client *client;
    int rv;

    if (!own) {
        spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_CONNECT, 0,
                          "jobs can be submitted only from httpd's children, "
                          "after child_init; not while httpd starts");
        return NULL;
    }
    endpoint.socket_path = own->socket_path;
    endpoint.secret = own->secret;
    endpoint.post_fd = __atomic_load_n(&own->post_fd, __ATOMIC_RELAXED);
    endpoint.spool = own->spool;
    endpoint.timeout_ms = spawn_submit_timeout_ms(s ? s : ap_server_conf);
    if (endpoint.timeout_ms > most_ms)
        endpoint.timeout_ms = most_ms;
    client = find(endpoint.timeout_ms, endpoint.post_fd);
    if (client)
        return client;
    rv = add(&endpoint, &client);
    if (rv == 0)
        return client;
    spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CONNECT, -rv,
                      "no connection to the broker can be made: %s",
                      strerrordesc_np(-rv));
    return NULL;
}

/* client/ counts with 32 bits: 49 days. */
uint32_t spawn_api_wait_ms(apr_interval_time_t wait)
{
    apr_interval_time_t ms = wait / 1000 + (wait % 1000 > 0);

    if (wait < 0)
        return 0;
    if (ms > UINT32_MAX)
        return UINT32_MAX;
    return ms > 0 ? (uint32_t)ms : 1;
}
