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
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/job/queue.h"

#define CLEAN_SET 9

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

/* job: NULL for a worker or template; queue: NULL for a template. */
static uint32_t clean_set(const spawn_job *job, const char *queue, char **ret)
{
    char id[SPAWN_ID_TEXT], attempt[8];
    uint32_t n = 5;

    ret[0] = pair("PATH", SPAWN_DEFAULT_PATH);
    ret[1] = pair("HOME", spawn_conf.job_home);
    ret[2] = pair("USER", spawn_conf.job_user);
    ret[3] = pair("LOGNAME", spawn_conf.job_user);
    ret[4] = pair("LANG", "C.UTF-8");
    /* a template: symbols are looked up once, and not in each of its jobs */
    if (!job && !queue)
        ret[n++] = pair("LD_BIND_NOW", "1");
    if (job)
        ret[n++] = pair("SPAWN_JOB_ID", spawn_id_format(&job->id, id));
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

/* Frees the texts of clean. */
static void put_env(char **clean, uint32_t cleans, const spawn_attr *env,
                    spawn_writer *w)
{
    uint32_t count = cleans + (env ? spawn_strv_count(env) : 0), i;
    variable *list = spawn_alloc(count * sizeof(variable));
    const char *text = NULL;
    size_t mark;

    for (i = 0; i < cleans; i++)
        add(list, i, clean[i]);
    for (; i < count; i++) {
        text = spawn_strv_next(env, text);
        add(list, i, text);
    }
    qsort(list, count, sizeof(variable), by_name);
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    for (i = 0; i < count; i++) {
        if ((i + 1 == count || !same_name(&list[i], &list[i + 1]))
            && list[i].text[list[i].name] == '=')
            spawn_add_text(w, mark, list[i].text, strlen(list[i].text));
    }
    spawn_close(w, mark);
    for (i = 0; i < cleans; i++)
        free(clean[i]);
    free(list);
}

void spawn_launch_env(const spawn_job *job, const spawn_message *order,
                      spawn_writer *w)
{
    const spawn_attr *env = order && spawn_has(order, SPAWN_A_ENV)
                                ? &order->attr[SPAWN_A_ENV]
                                : NULL;
    char *clean[CLEAN_SET];
    uint32_t cleans = clean_set(job, job ? job->queue->name : NULL, clean);

    put_env(clean, cleans, env, w);
}

void spawn_launch_env_worker(const char *queue, spawn_writer *w)
{
    char *clean[CLEAN_SET];
    uint32_t cleans = clean_set(NULL, queue, clean);

    put_env(clean, cleans, NULL, w);
}
