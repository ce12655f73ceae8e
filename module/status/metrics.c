/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ?format=prometheus: the broker's numbers. Runs in httpd children, in the
 * thread of the request. Must give all of them or none.
 */
#include "client/prometheus.h"
#include "module/status/ask.h"
#include "module/status/views.h"

static int write_some(void *arg, const char *text, size_t length)
{
    spawn_page *page = arg;

    return apr_brigade_write(page->out, NULL, NULL, text, length) == APR_SUCCESS
               ? 0
               : -1;
}

int spawn_view_metrics(spawn_page *page)
{
    spawn_meters_answer numbers;
    int rv;

    rv = spawn_ask_meters(page, &numbers);
    if (rv == 0)
        rv = spawn_prometheus_write(&numbers, page->now, write_some, page);
    spawn_meters_free(&numbers);
    return rv;
}
