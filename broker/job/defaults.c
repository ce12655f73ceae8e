/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that queues give to their jobs. Runs in the broker. Must not
 * change an order that is stored: the next start of its job may be under other
 * rules.
 */
#include "broker/job/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "broker/base/alloc.h"

#define LIMITS_MAX 16 /* numbers on the wire are below */

static spawn_defaults *of_templates; /* directives outside of any section */

/* ---- reading them ---- */

void spawn_defaults_begin(void)
{
    spawn_queue *q;

    free(of_templates);
    of_templates = NULL;
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        free(q->defaults);
        q->defaults = NULL;
        q->grace_ms = SPAWN_DEFAULT_GRACE_MS;
        q->history_jobs = UINT64_MAX;
        q->history_ms = 0;
    }
}

int spawn_defaults_rule(const spawn_attr *nest, spawn_failure *why)
{
    spawn_defaults *d = spawn_alloc(sizeof(*d) + nest->length);
    spawn_defaults **place = &of_templates;
    spawn_message m;
    const char *name;

    memcpy(d->data, nest->data, nest->length);
    if (spawn_body_parse(d->data, nest->length, SPAWN_BODY_QUEUE_DEFAULTS, 0,
                         &m, why)) {
        free(d);
        return -1;
    }
    d->env = m.attr[SPAWN_A_ENV];
    d->limits = m.attr[SPAWN_A_LIMITS];
    d->cwd = m.attr[SPAWN_A_CWD];
    d->nice = m.attr[SPAWN_A_NICE];
    d->ionice = m.attr[SPAWN_A_IONICE];
    d->leftovers = m.attr[SPAWN_A_LEFTOVERS];
    d->out = m.attr[SPAWN_A_STDOUT];
    d->err = m.attr[SPAWN_A_STDERR];
    d->on_failure = m.attr[SPAWN_A_ON_FAILURE];
    d->on_failure_argv = m.attr[SPAWN_A_ON_FAILURE_ARGV];
    name = spawn_str_or(&m, SPAWN_A_QUEUE, NULL);
    if (name && !spawn_queue_name_ok(name)) {
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "'%.64s' is not a name of a queue", name);
        free(d);
        return -1;
    }
    if (name) {
        spawn_queue *q = spawn_queue_get(name);

        q->grace_ms = spawn_u64_or(&m, SPAWN_A_GRACE, SPAWN_DEFAULT_GRACE_MS);
        q->history_jobs = spawn_u64_or(&m, SPAWN_A_HISTORY_JOBS, UINT64_MAX);
        q->history_ms = (int64_t)spawn_u64_or(&m, SPAWN_A_HISTORY_AGE, 0);
        place = &q->defaults;
    }
    free(*place);
    *place = d;
    return 0;
}

/* ---- what an order does not say ---- */

const spawn_attr *spawn_defaults_env(const spawn_queue *q)
{
    const spawn_defaults *d = q ? q->defaults : of_templates;

    return d && d->env.id ? &d->env : NULL;
}

static void fill(spawn_message *order, const spawn_attr *a)
{
    if (a->id && !spawn_has(order, a->id))
        order->attr[a->id] = *a;
}

void spawn_defaults_fill(const spawn_queue *q, spawn_message *order)
{
    const spawn_defaults *d = q->defaults;

    if (d) {
        fill(order, &d->cwd);
        fill(order, &d->nice);
        fill(order, &d->ionice);
        fill(order, &d->leftovers);
        fill(order, &d->out);
        fill(order, &d->err);
    }
}

const spawn_attr *spawn_defaults_on_failure(const spawn_queue *q)
{
    const spawn_defaults *d = q->defaults;

    if (!d)
        return NULL;
    return d->on_failure.id        ? &d->on_failure
           : d->on_failure_argv.id ? &d->on_failure_argv
                                   : NULL;
}

spawn_stdio_how spawn_defaults_output(const spawn_queue *q, unsigned attr)
{
    const spawn_attr *a = NULL;
    spawn_stdio s;

    if (q->defaults)
        a = attr == SPAWN_A_STDERR ? &q->defaults->err : &q->defaults->out;
    if (!a || !a->id)
        return attr == SPAWN_A_STDERR ? SPAWN_STDIO_LOG : SPAWN_STDIO_NULL;
    spawn_attr_stdio(a, &s);
    return s.how;
}

/* ---- limits ---- */

/* By number on the wire. */
typedef struct {
    bool set[LIMITS_MAX];
    uint64_t value[LIMITS_MAX];
} limits;

static void read_limits(const spawn_attr *a, limits *ret)
{
    uint32_t i;

    memset(ret, 0, sizeof(*ret));
    for (i = 0; a && a->id && i + 1 < spawn_u64v_count(a); i += 2) {
        uint64_t number = spawn_u64v_at(a, i);

        /* a newer httpd's module knows more of them */
        if (number >= LIMITS_MAX || spawn_limit_resource(number) < 0)
            continue;
        ret->set[number] = true;
        ret->value[number] = spawn_u64v_at(a, i + 1);
    }
}

/* The spawner cannot give more than it has, which the broker has from it. An
 * httpd that adopts it, or one beside which systemd has started it, may have
 * been started with more. */
static void not_above_ours(limits *most)
{
    struct rlimit own;
    uint64_t i;

    for (i = 0; i < LIMITS_MAX; i++) {
        int resource = most->set[i] ? spawn_limit_resource(i) : -1;

        if (resource >= 0 && getrlimit((unsigned)resource, &own) == 0
            && own.rlim_max < most->value[i])
            most->value[i] = own.rlim_max;
    }
}

static void read_both(const spawn_queue *q, const spawn_message *order,
                      limits *most, limits *asked)
{
    read_limits(q->defaults ? &q->defaults->limits : NULL, most);
    not_above_ours(most);
    read_limits(order ? &order->attr[SPAWN_A_LIMITS] : NULL, asked);
}

/* The most that a job may have. A share is taken from other jobs: where the
 * queue says nothing, nobody has more than each has by itself. */
static uint64_t most_of(const limits *most, uint64_t i)
{
    if (most->set[i])
        return most->value[i];
    return spawn_limit_resource(i) == RLIMIT_SPAWN_TREE_WEIGHT
               ? SPAWN_WEIGHT_USUAL
               : SPAWN_LIMIT_UNLIMITED;
}

static bool asks_for_more(const limits *most, const limits *asked, uint64_t i)
{
    if (!asked->set[i] || asked->value[i] <= most_of(most, i))
        return false;
    /* none is written: what each has by itself */
    return most->set[i] || asked->value[i] != SPAWN_LIMIT_UNLIMITED;
}

int spawn_defaults_allow(const spawn_queue *q, const spawn_message *order,
                         spawn_failure *why)
{
    char wanted[32], allowed[32];
    limits most, asked;
    uint64_t i;

    if (!spawn_has(order, SPAWN_A_LIMITS))
        return 0;
    read_both(q, order, &most, &asked);
    for (i = 0; i < LIMITS_MAX; i++) {
        if (!asks_for_more(&most, &asked, i))
            continue;
        spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_QUEUE, 0,
                          "limits: %s=%s is more than queue '%s' lets a job "
                          "have: %s=%s (SpawnLimit)",
                          spawn_limit_name(i),
                          spawn_limit_text(i, asked.value[i], wanted), q->name,
                          spawn_limit_name(i),
                          spawn_limit_text(i, most_of(&most, i), allowed));
        return -1;
    }
    return 0;
}

unsigned spawn_defaults_put_limits(const spawn_queue *q,
                                   const spawn_message *order, spawn_writer *w)
{
    uint64_t pairs[2 * LIMITS_MAX];
    limits most, asked;
    unsigned lowered = 0;
    uint32_t n = 0;
    uint64_t i;

    read_both(q, order, &most, &asked);
    for (i = 0; i < LIMITS_MAX; i++) {
        uint64_t value = asked.value[i];

        if (!most.set[i] && !asked.set[i])
            continue;
        /* of a worker it would count all its calls together */
        if (!order && spawn_limit_resource(i) == RLIMIT_CPU)
            continue;
        if (!asked.set[i]) {
            value = most.value[i];
        }
        else if (asks_for_more(&most, &asked, i)) {
            value = most_of(&most, i);
            lowered++;
        }
        pairs[n++] = i;
        pairs[n++] = value;
    }
    if (n)
        spawn_put_u64v(w, SPAWN_A_LIMITS, pairs, n);
    return lowered;
}

/* ---- workers ---- */

static void put(spawn_writer *w, const spawn_attr *a)
{
    if (a->id)
        spawn_put_attr(w, a->id, a);
}

static void put_output(const spawn_queue *q, const spawn_attr *set,
                       unsigned attr, uint16_t log, spawn_writer *w)
{
    const spawn_stdio to_log = {SPAWN_STDIO_FD, 0, log, ""};

    if (spawn_defaults_output(q, attr) == SPAWN_STDIO_LOG)
        spawn_put_stdio(w, (uint16_t)attr, &to_log);
    else if (set)
        put(w, set);
}

void spawn_defaults_put_worker(const spawn_queue *q, uint16_t log,
                               spawn_writer *w)
{
    const spawn_defaults *d = q->defaults;

    put_output(q, d ? &d->out : NULL, SPAWN_A_STDOUT, log, w);
    put_output(q, d ? &d->err : NULL, SPAWN_A_STDERR, log, w);
    (void)spawn_defaults_put_limits(q, NULL, w);
    if (!d)
        return;
    put(w, &d->cwd);
    put(w, &d->nice);
    put(w, &d->ionice);
    put(w, &d->leftovers);
}

/* ---- for people ---- */

static void put_names(const spawn_attr *env, spawn_writer *w)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ENV);
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(env); i++) {
        char *name;
        size_t length;

        text = spawn_strv_next(env, text);
        length = strcspn(text, "=");
        if (text[length] == '=') {
            spawn_add_text(w, mark, text, length);
            continue;
        }
        name = spawn_alloc(length + 2);
        (void)snprintf(name, length + 2, "!%s", text);
        spawn_add_text(w, mark, name, length + 1);
        free(name);
    }
    spawn_close(w, mark);
}

void spawn_defaults_put_row(const spawn_queue *q, spawn_writer *w)
{
    const spawn_defaults *d = q->defaults;

    if (!d)
        return;
    put(w, &d->cwd);
    put(w, &d->nice);
    put(w, &d->ionice);
    put(w, &d->leftovers);
    put(w, &d->out);
    put(w, &d->limits);
    put(w, &d->on_failure);
    put(w, &d->on_failure_argv);
    if (d->env.id)
        put_names(&d->env, w);
}
