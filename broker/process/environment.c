/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's environment. Runs in the broker. Must take nothing from our own
 * environment.
 */
#include "broker/process/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/job/account.h"
#include "broker/job/defaults.h"
#include "broker/job/queue.h"

#define CLEAN_SET 10

typedef struct {
    const char *text; /* name=value; a name alone takes the variable away */
    size_t name;      /* length of the name */
    uint32_t order;   /* later ones win */
} variable;

static int by_name(const void *a, const void *b)
{
    const variable *x = a, *y = b;
    size_t least = x->name < y->name ? x->name : y->name;
    int rv = memcmp(x->text, y->text, least);

    if (rv == 0 && x->name != y->name)
        rv = x->name < y->name ? -1 : 1;
    if (rv == 0)
        rv = x->order < y->order ? -1 : 1;
    return rv;
}

static bool same_name(const variable *x, const variable *y)
{
    return x->name == y->name && memcmp(x->text, y->text, x->name) == 0;
}

static char *pair(const char *name, const char *value)
{
    size_t room = strlen(name) + strlen(value) + 2;
    char *text = spawn_alloc(room);

    (void)snprintf(text, room, "%s=%s", name, value);
    return text;
}

/* So that jobs which it submits are of the same request. A function knows it
 * without that. */
static const char *request_of(const spawn_job *job, const spawn_message *order)
{
    const char *id = job && !job->perl && order
                         ? spawn_logs_context(order, "request_id")
                         : NULL;

    return id && spawn_request_id_ok(id) ? id : NULL;
}

/* job: NULL for a worker or template; queue: NULL for a template. */
static uint32_t clean_set(const spawn_job *job, const char *queue,
                          const spawn_account_look *account,
                          const char *request, char **ret)
{
    char id[SPAWN_ID_TEXT], attempt[8];
    uint32_t n = 5;

    ret[0] = pair("PATH", SPAWN_DEFAULT_PATH);
    ret[1] = pair("HOME", account->home);
    ret[2] = pair("USER", account->user);
    ret[3] = pair("LOGNAME", account->user);
    ret[4] = pair("LANG", "C.UTF-8");
    /* a template: symbols are looked up once, and not in each of its jobs */
    if (!job && !queue)
        ret[n++] = pair("LD_BIND_NOW", "1");
    if (job)
        ret[n++] = pair("SPAWN_JOB_ID", spawn_id_format(&job->id, id));
    if (request)
        ret[n++] = pair("SPAWN_REQUEST_ID", request);
    if (job && job->attempt > 1) {
        (void)snprintf(attempt, sizeof(attempt), "%u", job->attempt);
        ret[n++] = pair("SPAWN_ATTEMPT", attempt);
    }
    if (queue)
        ret[n++] = pair("SPAWN_QUEUE", queue);
    /* a function may submit jobs itself */
    if (queue && (!job || job->perl))
        ret[n++] = pair("SPAWN_SOCKET", spawn_conf.socket_path);
    return n;
}

static void add(variable *list, uint32_t at, const char *text)
{
    list[at].text = text;
    list[at].name = strcspn(text, "=");
    list[at].order = at;
}

/* The variables, put together: later ones win. */
typedef struct {
    variable *list;
    uint32_t count;
} variables;

static void add_all(variables *v, const spawn_attr *env)
{
    uint32_t count = env ? spawn_strv_count(env) : 0, i;
    const char *text = NULL;

    for (i = 0; i < count; i++) {
        text = spawn_strv_next(env, text);
        add(v->list, v->count++, text);
    }
}

static uint32_t count_of(const spawn_attr *env)
{
    return env ? spawn_strv_count(env) : 0;
}

/* The queue's are over the clean ones, and the order's over these. Frees the
 * texts of clean. */
static void put_env(char **clean, uint32_t cleans, const spawn_attr *given,
                    const spawn_attr *env, spawn_writer *w)
{
    variables v = {.count = 0};
    uint32_t i;
    size_t mark;

    v.list = spawn_alloc((cleans + count_of(given) + count_of(env))
                         * sizeof(variable));
    for (i = 0; i < cleans; i++)
        add(v.list, v.count++, clean[i]);
    add_all(&v, given);
    add_all(&v, env);
    qsort(v.list, v.count, sizeof(variable), by_name);
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    for (i = 0; i < v.count; i++) {
        const variable *it = &v.list[i];

        if ((i + 1 == v.count || !same_name(it, it + 1))
            && it->text[it->name] == '=')
            spawn_add_text(w, mark, it->text, strlen(it->text));
    }
    spawn_close(w, mark);
    for (i = 0; i < cleans; i++)
        free(clean[i]);
    free(v.list);
}

void spawn_launch_env(const spawn_job *job, const spawn_message *order,
                      spawn_writer *w)
{
    const spawn_attr *env =
        spawn_has(order, SPAWN_A_ENV) ? &order->attr[SPAWN_A_ENV] : NULL;
    const spawn_queue *q = job->queue;
    const spawn_account_look account = spawn_account_of_queue(q);
    char *clean[CLEAN_SET];
    uint32_t cleans =
        clean_set(job, q->name, &account, request_of(job, order), clean);

    put_env(clean, cleans, spawn_defaults_env(q), env, w);
}

void spawn_launch_env_template(const spawn_template *t, spawn_writer *w)
{
    const spawn_account_look account = spawn_account_of_template(t);
    char *clean[CLEAN_SET];
    uint32_t cleans = clean_set(NULL, NULL, &account, NULL, clean);

    put_env(clean, cleans, spawn_defaults_env(NULL), NULL, w);
}

void spawn_launch_env_worker(const spawn_queue *q, spawn_writer *w)
{
    const spawn_account_look account = spawn_account_of_queue(q);
    char *clean[CLEAN_SET];
    uint32_t cleans = clean_set(NULL, q->name, &account, NULL, clean);

    put_env(clean, cleans, spawn_defaults_env(q), NULL, w);
}
