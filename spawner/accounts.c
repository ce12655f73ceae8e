/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts that jobs run as: those of queues and of templates, as httpd's
 * parent has listed them (ACCOUNT of CONFIGURE). Runs in the spawner only.
 *
 * An order of the broker names a queue, and here stands which account that
 * queue has. The broker cannot say it: a broker that was taken over gets no
 * account that is not listed, and none in another one's place. Must hold no
 * order up, and must never take uid 0.
 *
 * Where httpd has listed none, all jobs have the one account of CONFIGURE.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_proto.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

#define NONE UINT32_MAX

typedef struct {
    uid_t uid;
    gid_t gid;
    spawn_attr groups; /* points into the configuration */
} account;

typedef struct {
    const char *name; /* points into the configuration */
    uint32_t account;
} entry;

struct accounts {
    account *list;
    entry *queues, *templates; /* in the order of their names */
    uint32_t count, queues_count, templates_count;
};

/* ---- the list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static uint32_t count_of(const spawn_attr *names)
{
    return names->id ? spawn_strv_count(names) : 0;
}

static void add_names(entry *entries, uint32_t *count, const spawn_attr *names,
                      uint32_t of)
{
    uint32_t i, n = count_of(names);
    const char *name = NULL;

    for (i = 0; i < n; i++) {
        name = spawn_strv_next(names, name);
        entries[(*count)++] = (entry){.name = name, .account = of};
    }
}

/* The body of one nest. */
static int read_one(const spawn_attr *nest, spawn_message *ret)
{
    int rv = spawn_body_parse(nest->data, nest->length, SPAWN_BODY_ACCOUNT, 0,
                              ret, NULL);

    if (rv < 0)
        return rv;
    if (spawn_attr_u64(&ret->attr[SPAWN_A_UID]) == 0)
        return -EPERM; /* no job runs as root */
    if (spawn_attr_u64(&ret->attr[SPAWN_A_UID]) >= (uid_t)-1
        || spawn_attr_u64(&ret->attr[SPAWN_A_GID]) >= (gid_t)-1)
        return -EINVAL;
    return spawn_u64v_count(&ret->attr[SPAWN_A_GROUPS]) > SPAWN_GROUPS_MAX
               ? -E2BIG
               : 0;
}

/* How much room all of them need. Each is parsed: what is not understood must
 * not be half taken. */
static int measure(const void *body, size_t length, accounts *need)
{
    static spawn_message m;
    spawn_reader reader;
    spawn_attr a;

    spawn_reader_init(&reader, body, length);
    while (spawn_reader_next(&reader, &a) == 1) {
        int rv = a.id == SPAWN_A_ACCOUNT ? read_one(&a, &m) : 1;

        if (rv < 0)
            return rv;
        if (rv > 0)
            continue;
        need->count++;
        need->queues_count += count_of(&m.attr[SPAWN_A_QUEUE_NAMES]);
        need->templates_count += count_of(&m.attr[SPAWN_A_TEMPLATE_NAMES]);
    }
    return 0;
}

static void fill(const void *body, size_t length, accounts *list)
{
    static spawn_message m;
    spawn_reader reader;
    spawn_attr a;

    list->count = list->queues_count = list->templates_count = 0;
    spawn_reader_init(&reader, body, length);
    while (spawn_reader_next(&reader, &a) == 1) {
        if (a.id != SPAWN_A_ACCOUNT || read_one(&a, &m) < 0)
            continue;
        list->list[list->count] =
            (account){.uid = (uid_t)spawn_attr_u64(&m.attr[SPAWN_A_UID]),
                      .gid = (gid_t)spawn_attr_u64(&m.attr[SPAWN_A_GID]),
                      .groups = m.attr[SPAWN_A_GROUPS]};
        add_names(list->queues, &list->queues_count,
                  &m.attr[SPAWN_A_QUEUE_NAMES], list->count);
        add_names(list->templates, &list->templates_count,
                  &m.attr[SPAWN_A_TEMPLATE_NAMES], list->count);
        list->count++;
    }
    qsort(list->queues, list->queues_count, sizeof(entry), by_name);
    qsort(list->templates, list->templates_count, sizeof(entry), by_name);
}

int accounts_read(const void *body, size_t length, accounts **ret)
{
    accounts need = {.count = 0};
    size_t entries;
    accounts *list;
    int rv = measure(body, length, &need);

    if (rv < 0)
        return rv;
    if (need.count == 0) {
        *ret = NULL;
        return 0;
    }
    if (geteuid() != 0) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0370) "the spawner runs as uid %ld, and cannot give "
                             "jobs other accounts: SpawnUser needs one that "
                             "runs as root (without User= in its unit)",
                  (long)geteuid());
        return -EPERM;
    }
    entries = (size_t)need.queues_count + need.templates_count;
    list = malloc(sizeof(*list) + need.count * sizeof(account)
                  + entries * sizeof(entry));
    if (!list)
        return -ENOMEM;
    list->list = (account *)(list + 1);
    list->queues = (entry *)(list->list + need.count);
    list->templates = list->queues + need.queues_count;
    fill(body, length, list);
    *ret = list;
    return 0;
}

void accounts_use(accounts *list)
{
    free(spawner.accounts);
    spawner.accounts = list;
}

/* ---- the account of an order ---- */

static uint32_t find(const entry *entries, uint32_t count, const char *name)
{
    const entry wanted = {.name = name, .account = NONE};
    const entry *found =
        bsearch(&wanted, entries, count, sizeof(entry), by_name);

    return found ? found->account : NONE;
}

/* A template has the account that its name is listed with, a job that of its
 * queue. */
static uint32_t account_of(const spawn_message *order)
{
    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        return find(spawner.accounts->templates,
                    spawner.accounts->templates_count,
                    spawn_str_or(order, SPAWN_A_TEMPLATE, ""));
    return find(spawner.accounts->queues, spawner.accounts->queues_count,
                spawn_str_or(order, SPAWN_A_QUEUE, ""));
}

const spawn_identity *accounts_of(const spawn_message *order)
{
    static spawn_identity as;
    uint32_t i, n = spawner.accounts ? account_of(order) : NONE;

    if (!spawner.accounts)
        return &spawner.job_as;
    if (n == NONE)
        return NULL;
    as.uid = spawner.accounts->list[n].uid;
    as.gid = spawner.accounts->list[n].gid;
    as.groups_count = (int)spawn_u64v_count(&spawner.accounts->list[n].groups);
    for (i = 0; i < (uint32_t)as.groups_count; i++)
        as.groups[i] =
            (gid_t)spawn_u64v_at(&spawner.accounts->list[n].groups, i);
    return &as;
}

bool accounts_has(uid_t uid)
{
    uint32_t i;

    for (i = 0; spawner.accounts && i < spawner.accounts->count; i++) {
        if (spawner.accounts->list[i].uid == uid)
            return true;
    }
    return false;
}

/* ---- what is refused ---- */

/* May a job with this account come from this template? 0; -ESRCH: the template
 * had another account, or other groups, when it was started, and the next one
 * will have the right one; -EPERM: never. */
static int from_template(const spawn_identity *as, const spawn_message *order)
{
    const template_note *n;
    const job *template;
    spawn_id id;
    uint32_t its;

    spawn_attr_id(&order->attr[SPAWN_A_TEMPLATE_ID], &id);
    template = table_by_id(&id);
    n = template ? template_note_of(template) : NULL;
    if (!n)
        return 0; /* it has gone, which the launch tells */
    if (n->uid == as->uid && n->gid == as->gid)
        return template_note_has_groups(n, as) ? 0 : -ESRCH;
    its = find(spawner.accounts->templates, spawner.accounts->templates_count,
               n->name);
    return its != NONE && spawner.accounts->list[its].uid == as->uid
                   && spawner.accounts->list[its].gid == as->gid
               ? -ESRCH
               : -EPERM;
}

static void tell(const spawn_id *id, const spawn_message *order,
                 const char *why)
{
    char text[SPAWN_ID_TEXT];

    spawn_log_few("the broker", SPAWN_LOG_FEW, SPAWN_LOG_CRIT,
                  MSNO(0371) "the broker's order for %s %s is refused: %s "
                             "'%.64s'%s",
                  spawn_has(order, SPAWN_A_IS_TEMPLATE) ? "template" : "job",
                  spawn_id_format(id, text),
                  spawn_has(order, SPAWN_A_IS_TEMPLATE) ? "template" : "queue",
                  spawn_str_or(order,
                               spawn_has(order, SPAWN_A_IS_TEMPLATE)
                                   ? SPAWN_A_TEMPLATE
                                   : SPAWN_A_QUEUE,
                               ""),
                  why);
}

spawn_step accounts_refuse(const spawn_id *id, const spawn_message *order,
                           int *ret_error)
{
    const spawn_identity *as = accounts_of(order);
    int rv = as ? 0 : -EPERM;

    if (!spawner.accounts)
        return SPAWN_STEP_NONE;
    if (as && spawn_has(order, SPAWN_A_TEMPLATE_ID))
        rv = from_template(as, order);
    if (rv == 0)
        return SPAWN_STEP_NONE;
    *ret_error = -rv;
    if (rv == -ESRCH)
        return SPAWN_STEP_TEMPLATE;
    tell(id, order,
         as ? " has another account than the template that it names"
            : " is not among those that httpd has listed");
    return SPAWN_STEP_UID;
}
