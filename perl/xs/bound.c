/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that end with their request: until => 'request'. Runs in httpd children.
 *
 * Such a job is submitted over a connection of its own, which the request keeps
 * until it has ended. The broker ends the job when that connection closes: so
 * it does when this process dies, whatever it dies of. Must not wait at the end
 * of a request, but where a broker was replaced since, which does not know of
 * the connection: that one is told, once. Must not write to a log: its caller
 * does, and knows where.
 */
#include <stdlib.h>
#include <unistd.h>

#include "perl/xs/spawn_perl.h"

struct spawn_perl_bound {
    spawn_client *client;
    spawn_id id;
    pid_t pid;
};

static spawn_perl_bind_fn bind_fn;

void spawn_perl_set_bind(spawn_perl_bind_fn fn)
{
    __atomic_store_n(&bind_fn, fn, __ATOMIC_RELEASE);
}

static void check(pTHX_ const spawn_perl_job *job)
{
    spawn_message m;

    if (job->reply == SPAWN_REPLY_POSTED)
        spawn_perl_not_bound(
            aTHX_ job, "a posted job comes to the broker in its own time, "
                       "which may be after the end of its request; reply: "
                       "accepted or started can be bound");
    if (spawn_message_parse(job->w.data, job->w.length, SPAWN_FROM_CALLER,
                            job->fds_count, &m, NULL)
            == 0
        && spawn_u64_or(&m, SPAWN_A_DURABLE, 0))
        spawn_perl_not_bound(
            aTHX_ job, "a durable job outlives the end of everything, and so "
                       "that of its request; leave durable or until out");
}

spawn_client *spawn_perl_bind(pTHX_ int endpoint, const spawn_perl_job *job,
                              void *request)
{
    spawn_perl_bind_fn keep = __atomic_load_n(&bind_fn, __ATOMIC_ACQUIRE);
    spawn_perl_bound *bound;
    void *server = NULL;
    sigset_t before;
    int rv;

    check(aTHX_ job);
    if (!keep || !spawn_perl_is_httpds(endpoint))
        spawn_perl_not_bound(aTHX_ job,
                             "this process serves no request, which httpd's "
                             "children do");
    if (!request)
        request = spawn_perl_current_request(&server);
    if (!request)
        spawn_perl_not_bound(
            aTHX_ job, "no request is known here: mod_perl tells of it with "
                       "'SetHandler perl-script' or 'PerlOptions "
                       "+GlobalRequest'; or use $r->spawn(...)");
    bound = malloc(sizeof(*bound));
    if (!bound)
        spawn_perl_no_memory(aTHX);
    bound->id = job->id;
    bound->pid = getpid();
    spawn_perl_signals_off(&before);
    rv = spawn_client_open_bound(spawn_perl_client(endpoint, NULL),
                                 &bound->client);
    if (rv == 0)
        keep(request, bound);
    else
        free(bound);
    spawn_perl_signals_on(&before);
    if (rv < 0)
        spawn_perl_no_memory(aTHX);
    return bound->client;
}

/* One that has ended, or that the broker never had, needs no order. */
static int tell(const spawn_perl_bound *bound, spawn_failure *why)
{
    spawn_answer answer;
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_KILL, 0);
    spawn_put_id(&w, SPAWN_A_ID, &bound->id);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(bound->client, &w, 0, &answer, why) == 0) {
        spawn_answer_free(&answer);
        return 0;
    }
    return why->code == SPAWN_E_NOT_RUNNING || why->code == SPAWN_E_NO_SUCH_JOB
                   || why->code == SPAWN_E_TOO_OLD
               ? 0
               : -1;
}

int spawn_perl_bound_over(spawn_perl_bound *bound, char *id, spawn_failure *why)
{
    sigset_t before;
    int ret = 0;

    if (bound->pid != getpid())
        return 0;
    spawn_perl_signals_off(&before);
    if (!spawn_client_holds(bound->client))
        ret = tell(bound, why);
    spawn_client_close(bound->client);
    spawn_perl_signals_on(&before);
    (void)spawn_id_format(&bound->id, id);
    free(bound);
    return ret;
}
