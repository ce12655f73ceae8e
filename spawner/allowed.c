/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAllow: what jobs of a queue may execute, as httpd's parent has listed it
 * (QUEUE_ALLOW of CONFIGURE). A broker that was taken over can start nothing in
 * a queue that the queue's list has not.
 *
 * Two processes run this. The spawner looks at what an order says, and refuses
 * one whose queue httpd has not configured; it must touch no file, which may
 * hang. The job's process looks at the file, after it has the job's account,
 * and executes what it has opened; it may share the spawner's memory
 * (clone.c), and must then write to its own stack only.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/spawn_allow.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_raw.h"
#include "common/spawn_template.h"
#include "spawner/spawner.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* ---- what httpd has said ---- */

/* The next nest of this kind in the configuration, taken apart. */
static bool next_nest(spawn_reader *reader, unsigned attr, unsigned body,
                      spawn_message *ret)
{
    spawn_attr a;

    while (spawn_reader_next(reader, &a) == 1) {
        if (a.id == attr
            && spawn_body_parse(a.data, a.length, body, 0, ret, NULL) == 0)
            return true;
    }
    return false;
}

static void read_config(spawn_reader *reader)
{
    spawn_reader_init(reader, spawner.config, spawner.config_length);
}

void allowed_configured(void)
{
    spawn_reader reader;
    spawn_attr a;

    spawner.has_allow = false; /* one that cannot be read is a list, too */
    read_config(&reader);
    while (!spawner.has_allow && spawn_reader_next(&reader, &a) == 1)
        spawner.has_allow = a.id == SPAWN_A_QUEUE_ALLOW;
}

/* The list of an order's queue; NULL: httpd has no such queue. */
static const spawn_attr *find(const spawn_message *order)
{
    const char *queue = spawn_str_or(order, SPAWN_A_QUEUE, "");
    static spawn_message m;
    spawn_reader reader;

    read_config(&reader);
    while (
        next_nest(&reader, SPAWN_A_QUEUE_ALLOW, SPAWN_BODY_QUEUE_ALLOW, &m)) {
        if (strcmp(spawn_attr_str(&m.attr[SPAWN_A_QUEUE]), queue) == 0)
            return &m.attr[SPAWN_A_ALLOW];
    }
    return NULL;
}

/* ---- what an order says ---- */

/* Is this a variable of httpd.conf? */
static bool is_configured(const char *variable)
{
    const char *text = NULL;
    static spawn_message m;
    spawn_reader reader;
    uint32_t i;

    read_config(&reader);
    while (next_nest(&reader, SPAWN_A_QUEUE_DEFAULTS, SPAWN_BODY_QUEUE_DEFAULTS,
                     &m)) {
        const spawn_attr *env = &m.attr[SPAWN_A_ENV];

        for (i = 0; env->id && i < spawn_strv_count(env); i++) {
            text = spawn_strv_next(env, i ? text : NULL);
            if (strcmp(text, variable) == 0)
                return true;
        }
    }
    return false;
}

/* The broker sets HOME itself: that of an account of jobs. */
static bool is_home(const char *variable)
{
    static spawn_message m;
    spawn_reader reader;
    spawn_attr a;

    if (strncmp(variable, "HOME=", 5) != 0)
        return false;
    read_config(&reader);
    while (spawn_reader_next(&reader, &a) == 1) {
        if (a.id == SPAWN_A_ACCOUNT
            && spawn_body_parse(a.data, a.length, SPAWN_BODY_ACCOUNT, 0, &m,
                                NULL)
                   == 0)
            a = m.attr[SPAWN_A_JOB_HOME];
        if (a.id == SPAWN_A_JOB_HOME
            && strcmp(spawn_attr_str(&a), variable + 5) == 0)
            return true;
    }
    return false;
}

/* A program would do what a library says that one of these names. */
static bool is_harmless(const spawn_attr *env)
{
    uint32_t count = spawn_strv_count(env), i;
    const char *text = NULL;

    for (i = 0; i < count; i++) {
        text = spawn_strv_next(env, text);
        if (spawn_allow_is_power(text) && !is_configured(text)
            && !is_home(text))
            return false;
    }
    return true;
}

/* May a template be started so? */
static bool is_template(const spawn_message *order)
{
    const char *name = spawn_str_or(order, SPAWN_A_TEMPLATE, "");
    static spawn_message m;
    spawn_reader reader;

    if (spawn_has(order, SPAWN_A_TEMPLATE_ID)
        || !is_harmless(&order->attr[SPAWN_A_ENV]))
        return false;
    read_config(&reader);
    while (next_nest(&reader, SPAWN_A_TEMPLATE_RULES, SPAWN_BODY_TEMPLATE_RULES,
                     &m)) {
        if (strcmp(spawn_attr_str(&m.attr[SPAWN_A_TEMPLATE]), name) == 0)
            return spawn_template_argv_ok(&m, &order->attr[SPAWN_A_ARGV]);
    }
    return false;
}

/* Has httpd given this queue workers? They take any call of the broker. */
static bool has_workers(const spawn_message *order)
{
    const char *queue = spawn_str_or(order, SPAWN_A_QUEUE, "");
    static spawn_message m;
    spawn_reader reader;

    read_config(&reader);
    while (
        next_nest(&reader, SPAWN_A_QUEUE_RULES, SPAWN_BODY_QUEUE_RULES, &m)) {
        if (strcmp(spawn_attr_str(&m.attr[SPAWN_A_QUEUE]), queue) == 0)
            return spawn_u64_or(&m, SPAWN_A_WORKERS_MAX, 0) > 0;
    }
    return false;
}

static bool is_function(const spawn_attr *list, const spawn_message *order)
{
    const char *name = spawn_str_or(order, SPAWN_A_FUNCTION, "");
    const char *load = spawn_str_or(order, SPAWN_A_LOAD, NULL);

    return spawn_perl_name_ok(name) && (!load || spawn_perl_name_ok(load))
           && spawn_allow_judge_function(list, name, load, NULL)
                  == SPAWN_ALLOW_YES;
}

static bool may_be(const spawn_message *order)
{
    const spawn_attr *list;

    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        return is_template(order);
    list = find(order);
    if (!list)
        return false;
    if (!list->id)
        return true;
    if (!is_harmless(&order->attr[SPAWN_A_ENV]))
        return false;
    if (spawn_has(order, SPAWN_A_FUNCTION))
        return is_function(list, order);
    /* a process of a template without a function is a worker */
    return !spawn_has(order, SPAWN_A_TEMPLATE_ID)
           || (spawn_has(order, SPAWN_A_IS_WORKER) && has_workers(order));
}

bool allowed_order(const spawn_id *id, const spawn_message *order)
{
    bool template = spawn_has(order, SPAWN_A_IS_TEMPLATE);
    char text[SPAWN_ID_TEXT];

    if (!spawner.has_allow || may_be(order))
        return true;
    spawn_log_few(
        "the broker", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0365) "the broker's order for %s %s is refused: %s '%.64s' does "
                   "not allow it (SpawnAllow), or is not configured",
        template ? "template" : "job", spawn_id_format(id, text),
        template ? "template" : "queue",
        spawn_str_or(order, template ? SPAWN_A_TEMPLATE : SPAWN_A_QUEUE, ""));
    return false;
}

const spawn_attr *allowed_list(const spawn_message *order)
{
    const spawn_attr *list =
        spawner.has_allow && !spawn_has(order, SPAWN_A_IS_TEMPLATE)
            ? find(order)
            : NULL;

    return list && list->id ? list : NULL;
}

/* ---- in the job's process ---- */

/* The file that is open is executed. The interpreter of a script (or of another
 * file that the kernel gives to one) opens it again, by a name: so it gets the
 * name that was judged, without links. */
static spawn_step execute_open(int fd, const char *path, char **argv,
                               char **envp, int *ret_error)
{
    *ret_error = -(int)spawn_raw(SYS_execveat, fd, (long)"", (long)argv,
                                 (long)envp, AT_EMPTY_PATH);
    if (*ret_error != ENOENT)
        return SPAWN_STEP_EXEC;
    *ret_error =
        -(int)spawn_raw(SYS_execve, (long)path, (long)argv, (long)envp, 0, 0);
    return *ret_error == ENOENT ? SPAWN_STEP_INTERPRETER : SPAWN_STEP_EXEC;
}

static spawn_step execute(const char *file, char **argv, char **envp,
                          const void *list, int *ret_error)
{
    char path[4096];
    int fd = spawn_allow_open(file, true, path, sizeof(path));
    spawn_step step = SPAWN_STEP_ALLOW;

    *ret_error = EPERM;
    if (fd < 0) {
        *ret_error = -fd;
        return SPAWN_STEP_EXEC;
    }
    if (spawn_allow_judge_file(list, path, true, NULL) == SPAWN_ALLOW_YES)
        step = execute_open(fd, path, argv, envp, ret_error);
    (void)spawn_raw_close(fd);
    return step;
}

spawn_step allowed_exec(const spawn_attr *list, char **argv, char **envp,
                        int *ret_error)
{
    return spawn_child_exec_by(execute, list, argv, envp, ret_error);
}
