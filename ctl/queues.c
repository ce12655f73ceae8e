/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl queues: the queues with their rules, what runs and waits in them,
 * and what was changed by hand. Runs in spawnctl. Must change nothing.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "ctl/ctl.h"

const char ctl_queues_help[] =
    "usage: spawnctl queues [options] [queue]\n"
    "The queues with their rules, what runs and what waits in them.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "STATE: open, paused, draining, both, or removed from httpd.conf. RUNNING "
    "and "
    "WAITING:\n"
    "how many, and how many can. DELAYED: those whose time has not come. "
    "OLDEST: how\n"
    "long that one has waited which waits longest. RULES: what SpawnTimeout "
    "and "
    "its\n"
    "like say; of variables only their names.\n"
    "Exit code: 0; 125 no such queue, or spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};

enum {
    QUEUE,
    STATE,
    RUNNING,
    WAITING,
    DELAYED,
    OLDEST,
    TEMPLATE,
    WORKERS,
    RULES,
    COLUMNS
};

static const ctl_column columns[COLUMNS] = {
    {"QUEUE", false},    {"STATE", false},   {"RUNNING", true},
    {"WAITING", true},   {"DELAYED", true},  {"OLDEST", true},
    {"TEMPLATE", false}, {"WORKERS", false}, {"RULES", false}};

typedef struct {
    const spawn_ctl *ctl;
    ctl_table table;
    json_t *rows;
    bool no_memory;
} listing;

static uint64_t number(const spawn_message *m, unsigned attr)
{
    return spawn_u64_or(m, attr, 0);
}

/* ---- the account that has changed it ---- */

static void account(uint64_t uid, char *text, size_t room)
{
    const struct passwd *pw = getpwuid((uid_t)uid);

    if (pw)
        (void)snprintf(text, room, "%.64s (uid %llu)", pw->pw_name,
                       (unsigned long long)uid);
    else
        (void)snprintf(text, room, "uid %llu", (unsigned long long)uid);
}

static char *note_of(const spawn_message *m)
{
    char who[100], when[64], scaled[80] = "", text[300];

    if (!spawn_has(m, SPAWN_A_CHANGED_AT))
        return NULL;
    account(number(m, SPAWN_A_CHANGED_BY), who, sizeof(who));
    spawn_time_local(number(m, SPAWN_A_CHANGED_AT), when, sizeof(when));
    if (spawn_has(m, SPAWN_A_SCALED_TO))
        (void)snprintf(scaled, sizeof(scaled), "; SpawnMaxJobs is %llu",
                       (unsigned long long)number(m, SPAWN_A_MAX_JOBS));
    (void)snprintf(text, sizeof(text), "changed by %s, %s%s", who, when,
                   scaled);
    return strdup(text);
}

/* ---- as a table ---- */

static char *of_cell(uint64_t is, uint64_t most)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%llu/%llu", (unsigned long long)is,
                   (unsigned long long)most);
    return strdup(text);
}

static char *oldest_cell(const spawn_message *m)
{
    int64_t ms = spawn_wall_ms() - (int64_t)number(m, SPAWN_A_OLDEST_AT);
    char text[32];

    if (!spawn_has(m, SPAWN_A_OLDEST_AT))
        return strdup("-");
    spawn_duration_text(ms > 0 ? ms : 0, text, sizeof(text));
    return strdup(text);
}

static char *workers_cell(const spawn_message *m)
{
    char text[48];

    if (!spawn_has(m, SPAWN_A_WORKERS_MAX))
        return strdup("-");
    (void)snprintf(text, sizeof(text), "%llu-%llu",
                   (unsigned long long)number(m, SPAWN_A_WORKERS_MIN),
                   (unsigned long long)number(m, SPAWN_A_WORKERS_MAX));
    return strdup(text);
}

typedef struct {
    char *text;
    size_t length;
    FILE *to;
} line;

static void add_rule(void *arg, const char *name, const char *text)
{
    line *l = arg;

    (void)fprintf(l->to, "%s%s=%s", ftell(l->to) > 0 ? " " : "", name, text);
}

static char *rules_cell(const spawn_message *m)
{
    line l = {NULL, 0, NULL};

    l.to = open_memstream(&l.text, &l.length);
    if (!l.to)
        return NULL;
    spawn_queue_rules_each(m, add_rule, &l);
    if (fclose(l.to)) {
        free(l.text);
        return NULL;
    }
    return l.text;
}

static void table_row(listing *l, const spawn_message *m)
{
    char **cells = ctl_table_row(&l->table);

    if (!cells) {
        l->no_memory = true;
        return;
    }
    cells[QUEUE] = strdup(spawn_attr_str(&m->attr[SPAWN_A_QUEUE]));
    cells[STATE] = strdup(spawn_queue_state_name(m));
    cells[RUNNING] = of_cell(number(m, SPAWN_A_RUNNING), spawn_queue_most(m));
    cells[WAITING] =
        of_cell(number(m, SPAWN_A_WAITING), number(m, SPAWN_A_MAX_QUEUED));
    cells[DELAYED] =
        of_cell(number(m, SPAWN_A_DELAYED), number(m, SPAWN_A_MAX_DELAYED));
    cells[OLDEST] = oldest_cell(m);
    cells[TEMPLATE] = strdup(spawn_str_or(m, SPAWN_A_TEMPLATE, "-"));
    cells[WORKERS] = workers_cell(m);
    cells[RULES] = rules_cell(m);
    cells[COLUMNS] = note_of(m);
}

/* ---- as JSON ---- */

static void put(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

static void put_number(json_t *o, const char *name, const spawn_message *m,
                       unsigned attr)
{
    put(o, name,
        spawn_has(m, attr) ? json_integer((json_int_t)number(m, attr))
                           : json_null());
}

static void put_time(json_t *o, const char *name, const spawn_message *m,
                     unsigned attr)
{
    if (spawn_has(m, attr))
        ctl_json_time(o, name, number(m, attr));
    else
        put(o, name, json_null());
}

static void add_json(void *arg, const char *name, const char *text)
{
    json_t *rules = arg, *several = json_object_get(rules, name);

    if (strcmp(name, "env") != 0 && strcmp(name, "allow") != 0) {
        put(rules, name, ctl_json_string(text));
        return;
    }
    if (!several) {
        several = json_array();
        put(rules, name, several);
    }
    (void)json_array_append_new(several, ctl_json_string(text));
}

json_t *ctl_json_queue(const spawn_message *m)
{
    json_t *o = json_object(), *rules = json_object();

    put(o, "queue", ctl_json_string(spawn_attr_str(&m->attr[SPAWN_A_QUEUE])));
    put(o, "state", json_string(spawn_queue_state_name(m)));
    put(o, "configured", json_boolean(!number(m, SPAWN_A_REMOVED)));
    put_number(o, "running", m, SPAWN_A_RUNNING);
    put_number(o, "waiting", m, SPAWN_A_WAITING);
    put_number(o, "delayed", m, SPAWN_A_DELAYED);
    put_time(o, "oldest_at", m, SPAWN_A_OLDEST_AT);
    put(o, "max_jobs", json_integer((json_int_t)spawn_queue_most(m)));
    put_number(o, "configured_max_jobs", m, SPAWN_A_MAX_JOBS);
    put_number(o, "max_queued", m, SPAWN_A_MAX_QUEUED);
    put_number(o, "max_delayed", m, SPAWN_A_MAX_DELAYED);
    put_time(o, "changed_at", m, SPAWN_A_CHANGED_AT);
    put_number(o, "changed_by", m, SPAWN_A_CHANGED_BY);
    put(o, "template", ctl_json_string(spawn_str_or(m, SPAWN_A_TEMPLATE, "")));
    put_number(o, "workers_min", m, SPAWN_A_WORKERS_MIN);
    put_number(o, "workers_max", m, SPAWN_A_WORKERS_MAX);
    spawn_queue_rules_each(m, add_json, rules);
    put(o, "rules", rules);
    return o;
}

/* ---- the verb ---- */

static void row(void *arg, const spawn_message *m)
{
    listing *l = arg;

    if (m->header.type != SPAWN_M_QUEUE_STATE)
        return;
    if (l->ctl->json)
        (void)json_array_append_new(l->rows, ctl_json_queue(m));
    else
        table_row(l, m);
}

static int list(spawn_ctl *ctl, const char *name, listing *l)
{
    spawn_failure why;
    spawn_writer w;
    uint8_t room[256];

    if (name && strlen(name) > SPAWN_NAME_MAX)
        return ctl_usage(ctl, "'%.100s' is not a name of a queue", name);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_QUEUES, 0);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST);
    if (name)
        spawn_put_str(&w, SPAWN_A_QUEUE, name);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_rows(ctl->client, &w, row, l, &why))
        return ctl_fail(&why);
    if (l->no_memory) {
        (void)fputs("spawnctl: no memory for so many queues\n", stderr);
        return CTL_TROUBLE;
    }
    if (ctl->json)
        ctl_json_print(json_incref(l->rows));
    else
        ctl_table_print(&l->table);
    return CTL_OK;
}

int ctl_queues(spawn_ctl *ctl, int argc, char **argv)
{
    listing l = {.ctl = ctl, .table = {columns, COLUMNS, NULL, 0, 0}};
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (argc - optind > 1)
        return ctl_usage(ctl, "'%s' is too much", argv[optind + 1]);
    code = ctl_connect(ctl);
    if (code)
        return code;
    l.rows = json_array();
    code = list(ctl, optind < argc ? argv[optind] : NULL, &l);
    ctl_table_free(&l.table);
    json_decref(l.rows);
    return code;
}
