/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of jobs and templates, as CONFIGURE names them. Runs in the
 * broker. Must decide nothing: the spawner does.
 */
#include "broker/job/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_digest.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"

struct spawn_account {
    spawn_account *next;
    uid_t uid;
    gid_t gid;
    char *user, *group, *home; /* group: NULL when it has no name */
};

static spawn_account *accounts;

void spawn_accounts_begin(void)
{
    spawn_template *t;
    spawn_queue *q;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q))
        q->account = NULL;
    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t))
        t->account = NULL;
    while (accounts) {
        spawn_account *a = accounts;

        accounts = a->next;
        free(a->user);
        free(a->group);
        free(a->home);
        free(a);
    }
}

/* Names that this CONFIGURE has no rules for are passed over: the spawner
 * refuses them. */
static void give_to_queues(const spawn_attr *names, spawn_account *a)
{
    uint32_t i, count = names->id ? spawn_strv_count(names) : 0;
    const char *name = NULL;
    spawn_queue *q;

    for (i = 0; i < count; i++) {
        name = spawn_strv_next(names, name);
        q = spawn_queue_find(name);
        if (q)
            q->account = a;
    }
}

/* Another account, or other groups of it, need another process. */
static void give_to_templates(const spawn_attr *names, spawn_account *a,
                              uint16_t mark)
{
    uint32_t i, count = names->id ? spawn_strv_count(names) : 0;
    const char *name = NULL;
    spawn_template *t;

    for (i = 0; i < count; i++) {
        name = spawn_strv_next(names, name);
        t = spawn_template_find(name);
        if (!t)
            continue;
        t->account = a;
        t->mark ^= mark;
    }
}

static uint16_t mark_of(const spawn_account *a, const spawn_attr *groups)
{
    uint64_t sum = groups->id ? spawn_digest(groups->data, groups->length) : 0;

    sum = (sum ^ a->uid) * 0x100000001b3ull;
    sum = (sum ^ a->gid) * 0x100000001b3ull;
    return (uint16_t)(sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48);
}

int spawn_accounts_rule(const spawn_attr *nest, spawn_failure *why)
{
    spawn_account *a;
    spawn_message m;
    char number[24];

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_ACCOUNT, 0, &m,
                         why))
        return -1;
    a = spawn_alloc(sizeof(*a));
    a->uid = (uid_t)spawn_attr_u64(&m.attr[SPAWN_A_UID]);
    a->gid = (gid_t)spawn_attr_u64(&m.attr[SPAWN_A_GID]);
    (void)snprintf(number, sizeof(number), "%lu", (unsigned long)a->uid);
    a->user = spawn_strdup(spawn_str_or(&m, SPAWN_A_JOB_USER, number));
    a->home = spawn_strdup(spawn_str_or(&m, SPAWN_A_JOB_HOME, "/"));
    if (spawn_has(&m, SPAWN_A_JOB_GROUP))
        a->group = spawn_strdup(spawn_attr_str(&m.attr[SPAWN_A_JOB_GROUP]));
    a->next = accounts;
    accounts = a;
    give_to_queues(&m.attr[SPAWN_A_QUEUE_NAMES], a);
    give_to_templates(&m.attr[SPAWN_A_TEMPLATE_NAMES], a,
                      mark_of(a, &m.attr[SPAWN_A_GROUPS]));
    return 0;
}

static spawn_account_look look(const spawn_account *a)
{
    spawn_account_look ret = {
        .uid = spawn_conf.job_uid,
        .gid = spawn_conf.job_gid,
        .user = spawn_conf.job_user,
        .group = spawn_conf.job_group,
        .home = spawn_conf.job_home,
    };

    if (a)
        ret = (spawn_account_look){.uid = a->uid,
                                   .gid = a->gid,
                                   .user = a->user,
                                   .group = a->group,
                                   .home = a->home};
    return ret;
}

spawn_account_look spawn_account_of_queue(const spawn_queue *q)
{
    return look(q ? q->account : NULL);
}

void spawn_account_put_row(const spawn_queue *q, spawn_writer *w)
{
    const spawn_account *a = q->account;
    char number[24];

    if (!a)
        return;
    (void)snprintf(number, sizeof(number), "%lu", (unsigned long)a->gid);
    spawn_put_str(w, SPAWN_A_JOB_USER, a->user);
    spawn_put_str(w, SPAWN_A_JOB_GROUP, a->group ? a->group : number);
}

spawn_account_look spawn_account_of_template(const spawn_template *t)
{
    return look(t->account);
}

bool spawn_account_fits(const spawn_queue *q, const spawn_template *t)
{
    spawn_account_look jobs = look(q->account), its = look(t->account);

    return jobs.uid == its.uid && jobs.gid == its.gid;
}
