/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates by name, and their rules. Runs in the broker. Starts and ends no
 * process: process/template_process.c does.
 */
#include "broker/job/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_digest.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_release.h"
#include "broker/base/alloc.h"
#include "broker/job/body.h"

#define FLYING_MAX 16 /* orders to one process that it has not answered */

static spawn_template *templates;

spawn_template *spawn_template_find(const char *name)
{
    spawn_template *t;

    for (t = templates; t; t = t->next) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

spawn_template *spawn_template_next(const spawn_template *t)
{
    return t ? t->next : templates;
}

spawn_template *spawn_template_get(const char *name)
{
    spawn_template *t = spawn_template_find(name);
    spawn_template **at;

    if (!t) {
        t = spawn_alloc(sizeof(*t));
        (void)snprintf(t->name, sizeof(t->name), "%s", name);
        for (at = &templates; *at; at = &(*at)->next)
            ;
        *at = t;
    }
    return t;
}

void spawn_template_names(spawn_template_shown shown, const void *who,
                          char *text, size_t room)
{
    const spawn_template *t;
    size_t n = 0;

    *text = '\0';
    for (t = templates; t && n < room; t = t->next) {
        if (spawn_template_configured(t) && shown(who, t))
            n += (size_t)snprintf(text + n, room - n, "%s%s", n ? ", " : "",
                                  t->name);
    }
}

static uint16_t mark_of(const uint8_t *rules, size_t length)
{
    uint64_t sum = spawn_digest(rules, length);
    const char *p;

    for (p = SPAWN_RELEASE; *p; p++)
        sum = (sum ^ (uint8_t)*p) * 0x100000001b3ull;
    return (uint16_t)(sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48);
}

void spawn_templates_begin(void)
{
    spawn_template *t;

    for (t = templates; t; t = t->next)
        t->fresh = false;
}

void spawn_templates_rule(const spawn_attr *nest)
{
    spawn_failure why;
    spawn_message m;
    spawn_template *t;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_TEMPLATE_RULES, 0,
                         &m, &why)
        || !spawn_queue_name_ok(spawn_str_or(&m, SPAWN_A_TEMPLATE, ""))) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0600) "a template's rules are left out: %s",
                  m.attr[SPAWN_A_TEMPLATE].id ? "not a name" : why.text);
        return;
    }
    t = spawn_template_get(spawn_attr_str(&m.attr[SPAWN_A_TEMPLATE]));
    free(t->rules);
    t->rules = spawn_alloc(nest->length + 1);
    memcpy(t->rules, nest->data, nest->length);
    t->rules_length = nest->length;
    t->kind = (unsigned)spawn_attr_u64(&m.attr[SPAWN_A_TEMPLATE_KIND]);
    t->max_jobs = spawn_u64_or(&m, SPAWN_A_TEMPLATE_JOBS, 0);
    t->max_age = (int64_t)spawn_u64_or(&m, SPAWN_A_TEMPLATE_AGE, 0);
    t->spares = spawn_u64_or(&m, SPAWN_A_TEMPLATE_SPARES, SPAWN_SPARES_DEFAULT);
    t->mark = mark_of(t->rules, t->rules_length);
    t->fresh = true;
}

bool spawn_template_takes(const spawn_template *t)
{
    return spawn_template_configured(t) && t->current && !t->current->full
           && t->current->flying < FLYING_MAX;
}

const char *spawn_template_failure(const spawn_template *t)
{
    return spawn_template_configured(t) && !t->current && !t->coming
               ? t->failure
               : NULL;
}
