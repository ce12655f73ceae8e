/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a job brought: priority, unique key, the jobs that it comes
 * after; where and with which limits it runs. Runs in spawnctl. Prints what
 * others wrote only in a printable form.
 */
#include <string.h>

#include "ctl/ctl.h"

static unsigned ids_of(const spawn_message *m)
{
    return (unsigned)(m->attr[SPAWN_A_AFTER].length / SPAWN_ID_SIZE);
}

static const char *id_at(const spawn_message *m, unsigned i, char *text)
{
    spawn_id id;

    memcpy(id.bytes, m->attr[SPAWN_A_AFTER].data + (size_t)i * SPAWN_ID_SIZE,
           SPAWN_ID_SIZE);
    return spawn_id_format(&id, text);
}

static int64_t priority_of(const spawn_message *m)
{
    return spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY]);
}

typedef struct {
    void (*line)(const char *name, const char *text);
} printer;

static void print_rule(void *arg, const char *name, const char *text)
{
    const printer *p = arg;

    p->line(name, text);
}

static const char *failed_id(const spawn_message *m, char *text)
{
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_FAILURE_OF], &id);
    return spawn_id_format(&id, text);
}

void ctl_rules_print(const spawn_message *m,
                     void (*line)(const char *name, const char *text))
{
    char text[SPAWN_ID_TEXT];
    unsigned i;

    if (spawn_has(m, SPAWN_A_PRIORITY)) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)priority_of(m));
        line("priority", text);
    }
    if (spawn_has(m, SPAWN_A_UNIQUE))
        line("unique", spawn_attr_str(&m->attr[SPAWN_A_UNIQUE]));
    for (i = 0; spawn_has(m, SPAWN_A_AFTER) && i < ids_of(m); i++)
        line(i ? "" : "after", id_at(m, i, text));
    if (spawn_has(m, SPAWN_A_FAILURE_OF))
        line("failure of", failed_id(m, text));
    spawn_job_rules_each(m, print_rule, &(printer){line});
}

void ctl_rules_json(json_t *o, const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    json_t *ids;
    unsigned i;

    if (spawn_has(m, SPAWN_A_PRIORITY))
        (void)json_object_set_new(o, "priority", json_integer(priority_of(m)));
    if (spawn_has(m, SPAWN_A_FAILURE_OF))
        (void)json_object_set_new(o, "failure_of",
                                  json_string(failed_id(m, text)));
    if (!spawn_has(m, SPAWN_A_AFTER))
        return;
    ids = json_array();
    for (i = 0; i < ids_of(m); i++)
        (void)json_array_append_new(ids, json_string(id_at(m, i, text)));
    (void)json_object_set_new(o, "after", ids);
}

void ctl_rules_brief(const spawn_message *m, char *text, size_t room)
{
    *text = '\0';
    if (spawn_has(m, SPAWN_A_PRIORITY)
        && spawn_u64_or(m, SPAWN_A_STATE, 0) == SPAWN_STATE_QUEUED)
        (void)snprintf(text, room, " %+lld", (long long)priority_of(m));
}
