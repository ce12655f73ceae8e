/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_status's page has a part about jobs: how many run, wait and have failed,
 * of each queue; and which spawner and broker do that, or why there are none.
 * Without mod_status nobody calls it. Runs in httpd children, in the thread of
 * the request. Must not hold the page when the broker does not answer.
 */
#include "module/status/server_status.h"

#include "http_protocol.h"
#include "mod_status.h"

#include "client/meters.h"
#include "module/api_client.h"

#define ANSWER_MS  500 /* a page is not worth more */
#define QUEUES_MAX 50

typedef struct {
    uint64_t running, waiting, delayed;
} sums;

static void add_up(const spawn_meters_answer *told, sums *ret)
{
    unsigned i;

    for (i = 0; i < told->count; i++) {
        ret->running += told->queues[i].running;
        ret->waiting += told->queues[i].waiting;
        ret->delayed += told->queues[i].delayed;
    }
}

/* ---- for programs ---- */

static void put_number(request_rec *r, const char *name, uint64_t number)
{
    (void)ap_rprintf(r, "Spawn%s: %" APR_UINT64_T_FMT "\n", name, number);
}

static void as_lines(request_rec *r, const spawn_meters_answer *told)
{
    sums all = {0, 0, 0};

    add_up(told, &all);
    put_number(r, "Up", 1);
    put_number(r, "Running", all.running);
    put_number(r, "Waiting", all.waiting);
    put_number(r, "Delayed", all.delayed);
    put_number(r, "Submitted", told->whole.counts[SPAWN_COUNT_SUBMITTED]);
    put_number(r, "Ended", spawn_meter_ends(&told->whole));
    put_number(r, "Failed", told->whole.counts[SPAWN_COUNT_FAILED]);
    put_number(r, "SpawnerPid", told->pair[SPAWN_PAIR_SPAWNER_PID]);
    put_number(r, "BrokerPid", told->pair[SPAWN_PAIR_BROKER_PID]);
}

/* ---- for people ---- */

static const char *mode_of(const spawn_meter_row *q)
{
    if (q->removed)
        return "removed";
    switch (q->mode) {
    case SPAWN_QUEUE_PAUSED:
        return "paused";
    case SPAWN_QUEUE_DRAINING:
        return "draining";
    case SPAWN_QUEUE_BOTH:
        return "paused, draining";
    default:
        return "open";
    }
}

/* row: how the parts are written. */
static void put_queue(request_rec *r, const char *row, const spawn_meter_row *q)
{
    (void)ap_rprintf(r, row, ap_escape_html(r->pool, q->queue), mode_of(q),
                     (apr_uint64_t)q->running, (apr_uint64_t)q->waiting,
                     (apr_uint64_t)q->delayed,
                     (apr_uint64_t)spawn_meter_ends(q),
                     (apr_uint64_t)q->counts[SPAWN_COUNT_FAILED]);
}

#define N "%" APR_UINT64_T_FMT
static const char table_row[] =
    "<tr><td>%s</td><td>%s</td><td>" N "</td><td>" N "</td><td>" N "</td><td>" N
    "</td><td>" N "</td></tr>\n";
static const char plain_row[] =
    "<dt>Queue %s: %s, " N " running, " N " waiting, " N " delayed; " N
    " ended, " N " failed</dt>\n";

static void put_queues(request_rec *r, const spawn_meters_answer *told,
                       bool table)
{
    unsigned i;

    (void)ap_rputs(table
                       ? "<table border=\"0\"><tr><th>Queue</th>"
                         "<th>State</th><th>Running</th><th>Waiting</th>"
                         "<th>Delayed</th><th>Ended</th><th>Failed</th></tr>\n"
                       : "<dl>\n",
                   r);
    for (i = 0; i < told->count && i < QUEUES_MAX; i++)
        put_queue(r, table ? table_row : plain_row, &told->queues[i]);
    (void)ap_rputs(table ? "</table>\n" : "</dl>\n", r);
    if (told->count > QUEUES_MAX)
        (void)ap_rprintf(r, "<p>and %u more queues</p>\n",
                         told->count - QUEUES_MAX);
}

static void as_html(request_rec *r, const spawn_meters_answer *told, bool table)
{
    (void)ap_rprintf(r,
                     "<p>Spawner: process " N ". Broker: process " N ".</p>\n",
                     (apr_uint64_t)told->pair[SPAWN_PAIR_SPAWNER_PID],
                     (apr_uint64_t)told->pair[SPAWN_PAIR_BROKER_PID]);
    put_queues(r, told, table);
}

int spawn_server_status(request_rec *r, int flags)
{
    bool lines = (flags & AP_STATUS_SHORT) != 0;
    spawn_meters_answer told = {.queues = NULL};
    spawn_failure why;
    spawn_client *client = spawn_api_client_within(r->server, ANSWER_MS, &why);
    bool answered =
        client && spawn_client_meters(client, NULL, &told, &why) == 0;

    if (!lines)
        (void)ap_rputs("<hr />\n<h2>Jobs of mod_spawn</h2>\n", r);
    if (lines && answered)
        as_lines(r, &told);
    else if (lines)
        put_number(r, "Up", 0);
    else if (answered)
        as_html(r, &told, !(flags & AP_STATUS_NOTABLE));
    else
        (void)ap_rprintf(r, "<p>The broker does not answer: %s</p>\n",
                         ap_escape_html(r->pool, why.text));
    spawn_meters_free(&told);
    return OK;
}
