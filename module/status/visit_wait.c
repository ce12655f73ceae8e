/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait for a change of a visitor's job. Runs in httpd children, in the
 * thread of the request, which it holds: so it ends with the visitor's
 * connection, and when the child ends, and only so many requests of an httpd
 * wait at once. The broker counts these, since it knows which of them have
 * gone, however they went. Must not ask the broker again and again.
 */
#include "module/status/visit.h"

#include <poll.h>

#include "ap_mpm.h"
#include "http_connection.h"

#include "common/spawn_os.h"
#include "common/spawn_seen.h"

/* How often it looks whether the child ends, or HTTP/2 has closed the stream:
 * neither wakes a poll. */
#define LOOK_EVERY 5000 /* ms */

/* A pause when the broker says that something has changed, and nothing has. */
#define PAUSE 500 /* ms */

/* The visitor's connection; one that goes is told by POLLRDHUP, and what else
 * it sends waits for its turn. */
static void visitor(const request_rec *r, struct pollfd *ret)
{
    conn_rec *c = r->connection->master ? r->connection->master : r->connection;
    apr_socket_t *sock = ap_get_conn_socket(c);
    apr_os_sock_t fd;

    ret->fd = sock && apr_os_sock_get(&fd, sock) == APR_SUCCESS ? fd : -1;
    ret->events = POLLRDHUP;
    ret->revents = 0;
}

static bool child_ends(void)
{
    int state;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
           && state == AP_MPMQ_STOPPING;
}

static bool is_over(const spawn_visit *v)
{
    return v->page.r->connection->aborted || child_ends();
}

static bool look(void *arg)
{
    spawn_visit *v = arg;

    return is_over(v) || (v->idle && !v->idle(v));
}

static bool pause_for(const spawn_visit *v, int ms)
{
    struct pollfd beside;

    visitor(v->page.r, &beside);
    return poll(&beside, 1, ms) > 0 || is_over(v);
}

/* How it ends when there is no other job. */
static spawn_visit_end why_not(int rv, const spawn_failure *why)
{
    if (rv > 0)
        return SPAWN_VISIT_LEFT;
    switch (why->code) {
    case SPAWN_E_TIMED_OUT:
        return SPAWN_VISIT_SAME;
    case SPAWN_E_QUEUE_FULL:
        return SPAWN_VISIT_CROWD;
    default:
        return SPAWN_VISIT_FAILED;
    }
}

static bool take(spawn_visit *v, spawn_answer *job)
{
    uint64_t seen = spawn_seen_of(&job->message);

    if (seen == v->seen) {
        spawn_answer_free(job);
        return false;
    }
    spawn_answer_free(&v->job);
    v->job = *job;
    v->seen = seen;
    return true;
}

spawn_visit_end spawn_visit_wait(spawn_visit *v, int64_t wait_ms)
{
    spawn_beside beside = {.every_ms = LOOK_EVERY, .ends = look, .arg = v};
    int64_t until = spawn_mono_ms() + wait_ms, left;
    spawn_answer job;

    visitor(v->page.r, &beside.fd);
    while ((left = until - spawn_mono_ms()) > 0) {
        int rv =
            spawn_client_watch(v->page.client, &v->id, v->seen, (uint32_t)left,
                               v->watchers, &beside, &job, &v->page.why);

        if (rv)
            return why_not(rv, &v->page.why);
        if (take(v, &job))
            return SPAWN_VISIT_CHANGED;
        if (pause_for(v, PAUSE))
            return SPAWN_VISIT_LEFT;
    }
    return SPAWN_VISIT_SAME;
}
