/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QUEUE_STATE message, and the rules in a JOB, in words. Runs in whatever
 * shows queues: spawnctl, httpd children. Must tell no value of a variable: the
 * broker sends their names only.
 */
#include "client/spawn_words.h"

#include <stdio.h>

#include "common/spawn_field.h"

static const char *const modes[] = {[SPAWN_QUEUE_OPEN] = "open",
                                    [SPAWN_QUEUE_PAUSED] = "paused",
                                    [SPAWN_QUEUE_DRAINING] = "draining",
                                    [SPAWN_QUEUE_BOTH] = "paused,draining"};

static uint64_t number(const spawn_message *m, unsigned attr)
{
    return spawn_u64_or(m, attr, 0);
}

const char *spawn_queue_state_name(const spawn_message *m)
{
    uint64_t mode = number(m, SPAWN_A_QUEUE_MODE);

    if (mode == SPAWN_QUEUE_OPEN && number(m, SPAWN_A_REMOVED))
        return "removed";
    return mode <= SPAWN_QUEUE_BOTH ? modes[mode] : "?";
}

uint64_t spawn_queue_most(const spawn_message *m)
{
    return spawn_u64_or(m, SPAWN_A_SCALED_TO, number(m, SPAWN_A_MAX_JOBS));
}

/* ---- rules ---- */

static void duration(const spawn_message *m, unsigned attr, const char *name,
                     spawn_rule_fn each, void *arg)
{
    char text[32];

    if (!spawn_has(m, attr))
        return;
    spawn_duration_text((int64_t)number(m, attr), text, sizeof(text));
    each(arg, name, text);
}

static void limits(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    const spawn_attr *a = &m->attr[SPAWN_A_LIMITS];
    char text[200] = "", value[32];
    size_t n = 0;
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_LIMITS))
        return;
    for (i = 0; i + 1 < spawn_u64v_count(a) && n < sizeof(text); i += 2)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s",
                              n ? "," : "",
                              spawn_limit_name(spawn_u64v_at(a, i)),
                              spawn_limit_text(spawn_u64v_at(a, i),
                                               spawn_u64v_at(a, i + 1), value));
    each(arg, "limits", text);
}

static void word(const spawn_message *m, unsigned attr, const char *name,
                 spawn_rule_fn each, void *arg)
{
    if (spawn_has(m, attr))
        each(arg, name, spawn_attr_str(&m->attr[attr]));
}

static void texts(const spawn_message *m, unsigned attr, const char *name,
                  spawn_rule_fn each, void *arg)
{
    const spawn_attr *a = &m->attr[attr];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; spawn_has(m, attr) && i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        each(arg, name, text);
    }
}

static void priorities(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    uint64_t ionice = number(m, SPAWN_A_IONICE);
    char text[32];

    if (spawn_has(m, SPAWN_A_NICE)) {
        (void)snprintf(text, sizeof(text), "%lld",
                       (long long)spawn_attr_i64(&m->attr[SPAWN_A_NICE]));
        each(arg, "nice", text);
    }
    if (!spawn_has(m, SPAWN_A_IONICE))
        return;
    (void)snprintf(text, sizeof(text), "best-effort:%u",
                   (unsigned)(ionice & 7));
    each(arg, "ionice", ionice >> 8 == 3 ? "idle" : text);
}

static void output(const spawn_message *m, unsigned attr, const char *name,
                   spawn_rule_fn each, void *arg)
{
    static const char *const words[] = {[SPAWN_STDIO_NULL] = "null",
                                        [SPAWN_STDIO_FD] = "handle",
                                        [SPAWN_STDIO_LOG] = "log",
                                        [SPAWN_STDIO_CAPTURE] = "capture",
                                        [SPAWN_STDIO_STDOUT] = "stdout"};
    spawn_stdio s;

    if (!spawn_has(m, attr))
        return;
    spawn_attr_stdio(&m->attr[attr], &s);
    each(arg, name,
         s.how < sizeof(words) / sizeof(words[0]) && words[s.how] ? words[s.how]
                                                                  : s.path);
}

static void history(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    char text[64], age[32] = "";

    if (!spawn_has(m, SPAWN_A_HISTORY_JOBS))
        return;
    if (spawn_has(m, SPAWN_A_HISTORY_AGE))
        spawn_duration_text((int64_t)number(m, SPAWN_A_HISTORY_AGE), age,
                            sizeof(age));
    (void)snprintf(text, sizeof(text), "%llu%s%s",
                   (unsigned long long)number(m, SPAWN_A_HISTORY_JOBS),
                   *age ? "," : "", age);
    each(arg, "history", text);
}

/* Those that a queue and a job can have. */
static void common_rules(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    duration(m, SPAWN_A_TIMEOUT, "timeout", each, arg);
    duration(m, SPAWN_A_GRACE, "grace", each, arg);
    limits(m, each, arg);
    priorities(m, each, arg);
    word(m, SPAWN_A_CWD, "cwd", each, arg);
    word(m, SPAWN_A_ON_FAILURE, "on_failure", each, arg);
}

static void leftovers(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    if (spawn_has(m, SPAWN_A_LEFTOVERS))
        each(arg, "leftovers", number(m, SPAWN_A_LEFTOVERS) ? "kill" : "keep");
}

void spawn_job_rules_each(const spawn_message *m, spawn_rule_fn each, void *arg)
{
    char text[32];

    common_rules(m, each, arg);
    output(m, SPAWN_A_STDOUT, "stdout", each, arg);
    output(m, SPAWN_A_STDERR, "stderr", each, arg);
    leftovers(m, each, arg);
    word(m, SPAWN_A_USER, "user", each, arg);
    word(m, SPAWN_A_GROUP, "group", each, arg);
    if (!spawn_has(m, SPAWN_A_RETRY))
        return;
    (void)snprintf(text, sizeof(text), "%lld",
                   (long long)spawn_attr_i64(&m->attr[SPAWN_A_RETRY]));
    each(arg, "retry", text);
}

void spawn_queue_rules_each(const spawn_message *m, spawn_rule_fn each,
                            void *arg)
{
    common_rules(m, each, arg);
    output(m, SPAWN_A_STDOUT, "output", each, arg);
    leftovers(m, each, arg);
    history(m, each, arg);
    texts(m, SPAWN_A_ON_FAILURE_ARGV, "on_failure", each, arg);
    texts(m, SPAWN_A_ENV, "env", each, arg);
    word(m, SPAWN_A_JOB_USER, "user", each, arg);
    word(m, SPAWN_A_JOB_GROUP, "group", each, arg);
    texts(m, SPAWN_A_ALLOW, "allow", each, arg);
    word(m, SPAWN_A_ACCESS_TEXT, "access", each, arg);
}
