/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs a queue allows. Runs in the broker. Must wait for no file system:
 * what cannot be told without is left to the job's process.
 */
#include "broker/job/allowed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_allow.h"
#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "broker/base/alloc.h"
#include "broker/base/logs.h"
#include "broker/job/defaults.h"

#define PATH_ROOM 4200

/* ---- reading them ---- */

void spawn_allowed_begin(void)
{
    spawn_queue *q;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        free(q->allowed);
        q->allowed = NULL;
    }
}

int spawn_allowed_rule(const spawn_attr *nest, spawn_failure *why)
{
    const spawn_attr *list;
    spawn_message m;
    const char *name;
    spawn_queue *q;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_QUEUE_ALLOW, 0,
                         &m, why))
        return -1;
    name = spawn_attr_str(&m.attr[SPAWN_A_QUEUE]);
    if (!spawn_queue_name_ok(name)) {
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "'%.64s' is not a name of a queue", name);
        return -1;
    }
    list = &m.attr[SPAWN_A_ALLOW];
    if (!list->id)
        return 0;
    q = spawn_queue_get(name);
    free(q->allowed);
    q->allowed = spawn_alloc(sizeof(*q->allowed) + list->length);
    memcpy(q->allowed->data, list->data, list->length);
    q->allowed->list = *list;
    q->allowed->list.data = q->allowed->data;
    return 0;
}

/* ---- what is told ---- */

static void add(char *text, size_t room, const char *name, const char *value)
{
    size_t n = strlen(text);

    if (value && n < room)
        (void)snprintf(text + n, room - n, "%s%s %.60s", n ? ", " : "", name,
                       value);
}

void spawn_allowed_who(const spawn_message *order, long uid, char *text,
                       size_t room)
{
    const char *vhost = spawn_logs_vhost(order);
    spawn_whose whose;
    char number[24];

    *text = '\0';
    spawn_logs_whose(order, &whose);
    add(text, room, "virtual host", vhost);
    add(text, room, "request", whose.request[0] ? whose.request : NULL);
    add(text, room, "client", spawn_logs_context(order, "client"));
    (void)snprintf(number, sizeof(number), "%ld", uid);
    if (!*text)
        add(text, room, "uid", number);
}

static void say_list(const spawn_attr *list, char *text, size_t room)
{
    uint32_t count = spawn_strv_count(list), i;
    const char *pattern = NULL;
    size_t n = 0;

    *text = '\0';
    for (i = 0; i < count; i++) {
        pattern = spawn_strv_next(list, pattern);
        if (n + strlen(pattern) + sizeof(" ...") >= room) {
            (void)snprintf(text + n, room - n, "%s...", n ? " " : "");
            return;
        }
        n +=
            (size_t)snprintf(text + n, room - n, "%s%s", n ? " " : "", pattern);
    }
}

void spawn_allowed_list(const spawn_queue *q, char *text, size_t room)
{
    if (q->allowed)
        say_list(&q->allowed->list, text, room);
    else
        (void)snprintf(text, room, "all, by now");
}

/* rule: the exclusion, or NULL: it is not listed. */
static int refuse(const spawn_queue *q, const spawn_message *order, long uid,
                  const char *rule, spawn_failure *why)
{
    char who[120], list[80];

    spawn_allowed_who(order, uid, who, sizeof(who));
    say_list(&q->allowed->list, list, sizeof(list));
    spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_ALLOW, 0,
                      "queue '%.40s' does not run '%.60s'; SpawnAllow: %.80s; "
                      "asked for by %s",
                      q->name, spawn_logs_what(order), rule ? rule : list, who);
    return -1;
}

void spawn_allowed_log(const spawn_queue *q, const spawn_id *id,
                       const spawn_message *order, const char *text)
{
    char name[SPAWN_LOGS_NAME];

    spawn_log_to(spawn_logs_find(spawn_logs_vhost(order)));
    spawn_log_few(spawn_log_about("queue", q->name), SPAWN_LOG_FEW,
                  SPAWN_LOG_ERR, MSNO(0514) "job %s is refused: %s",
                  spawn_logs_name(id, order, name), text);
    spawn_log_to(NULL);
}

/* ---- programs ---- */

/* Does this file run? -ENOENT: there is none. */
static int judge_file(const spawn_queue *q, const char *file,
                      const char **ret_rule)
{
    char path[PATH_ROOM];
    int fd = spawn_allow_open(file, false, path, sizeof(path));

    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR ? -ENOENT : SPAWN_ALLOW_YES;
    (void)close(fd);
    return (int)spawn_allow_judge_file(&q->allowed->list, path, false,
                                       ret_rule);
}

/* One that is looked up: the first that there is and that is allowed. */
static int look_up(const spawn_queue *q, const char *name,
                   const char **ret_rule)
{
    const char *path = SPAWN_DEFAULT_PATH;
    char file[PATH_ROOM];
    int rv = -ENOENT;

    while (*path) {
        const char *end = strchrnul(path, ':');
        int its;

        (void)snprintf(file, sizeof(file), "%.*s/%.4000s", (int)(end - path),
                       path, name);
        its = judge_file(q, file, ret_rule);
        if (its == SPAWN_ALLOW_YES)
            return its;
        if (its != -ENOENT)
            rv = its;
        path = *end ? end + 1 : end;
    }
    return rv;
}

/* One that is not there is told as in any queue. */
static int judge_program(const spawn_queue *q, const spawn_message *order,
                         const char **ret_rule)
{
    const char *program = spawn_strv_next(&order->attr[SPAWN_A_ARGV], NULL);
    char file[2 * PATH_ROOM];
    spawn_message whole;

    if (spawn_allow_no_program(&q->allowed->list))
        return SPAWN_ALLOW_NOT_LISTED;
    if (!strchr(program, '/'))
        return look_up(q, program, ret_rule);
    if (*program == '/')
        return judge_file(q, program, ret_rule);
    whole = *order;
    spawn_defaults_fill(q, &whole);
    (void)snprintf(file, sizeof(file), "%.4096s/%.4096s",
                   spawn_str_or(&whole, SPAWN_A_CWD, "/"), program);
    return judge_file(q, file, ret_rule);
}

/* A program would do what a library says that such a variable names. */
static const char *power_of(const spawn_message *order)
{
    const spawn_attr *env = &order->attr[SPAWN_A_ENV];
    uint32_t count = env->id ? spawn_strv_count(env) : 0, i;
    const char *text = NULL;

    for (i = 0; i < count; i++) {
        text = spawn_strv_next(env, text);
        if (spawn_allow_is_power(text))
            return text;
    }
    return NULL;
}

static int refuse_variable(const spawn_queue *q, const spawn_message *order,
                           long uid, const char *variable, spawn_failure *why)
{
    char who[120];

    spawn_allowed_who(order, uid, who, sizeof(who));
    spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_ALLOW, 0,
                      "queue '%.40s' has SpawnAllow, and its jobs may not set "
                      "%.*s: it can have a program run other code (SpawnEnv "
                      "can set it); asked for by %s",
                      q->name, (int)(strcspn(variable, "=") % 60), variable,
                      who);
    return -1;
}

int spawn_allowed_check(const spawn_queue *q, const spawn_message *order,
                        long uid, spawn_failure *why)
{
    const char *rule = NULL, *variable;
    int is;

    if (!q->allowed)
        return 0;
    variable = power_of(order);
    if (variable)
        return refuse_variable(q, order, uid, variable, why);
    if (spawn_has(order, SPAWN_A_FUNCTION)) {
        is = (int)spawn_allow_judge_function(
            &q->allowed->list, spawn_attr_str(&order->attr[SPAWN_A_FUNCTION]),
            spawn_str_or(order, SPAWN_A_LOAD, NULL), &rule);
    }
    else {
        is = judge_program(q, order, &rule);
    }
    return is <= SPAWN_ALLOW_YES ? 0 : refuse(q, order, uid, rule, why);
}

/* ---- for people ---- */

void spawn_allowed_put_row(const spawn_queue *q, spawn_writer *w)
{
    if (q->allowed)
        spawn_put_attr(w, SPAWN_A_ALLOW, &q->allowed->list);
}
