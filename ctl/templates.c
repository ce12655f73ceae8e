/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl templates: the processes that Perl jobs are forked from, the
 * workers, and the memory that each has for itself. Runs in spawnctl. The
 * broker reports the processes; their memory is read here, from /proc, as far
 * as the caller may. Must not print a guess as a fact.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "ctl/ctl.h"

const char ctl_templates_help[] =
    "usage: spawnctl templates [options]\n"
    "List templates, the processes that Perl jobs are forked from, and below\n"
    "each the workers that were forked from it.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "JOBS: forked from it, or calls served (worker). RUNNING: Perl jobs that\n"
    "run now. SPARES: processes that are ready for the next calls, and how "
    "many\n"
    "there are at most. RSS, PSS: memory, and its share of what others have "
    "too.\n"
    "PRIVATE/JOB: what a running job has for itself; ~ an estimate from jobs\n"
    "that have ended; of a worker, what it has for itself. -: not known.\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};

enum {
    TEMPLATE,
    KIND,
    PID,
    STATE,
    AGE,
    JOBS,
    RUNNING,
    SPARES,
    RSS,
    PSS,
    PRIVATE,
    COLUMNS
};

static const ctl_column columns[COLUMNS] = {
    {"TEMPLATE", false}, {"KIND", false},      {"PID", true},
    {"STATE", false},    {"AGE", true},        {"JOBS", true},
    {"RUNNING", true},   {"SPARES", true},     {"RSS", true},
    {"PSS", true},       {"PRIVATE/JOB", true}};

/* One row of the broker, and figures from /proc. */
typedef struct {
    char template[SPAWN_NAME_MAX + 1];
    char queue[SPAWN_NAME_MAX + 1]; /* of a worker; else "" */
    size_t order;                   /* in which it came */
    unsigned kind;                  /* 0: not known */
    unsigned state;
    uint64_t pid; /* 0: none */
    uint64_t started_at;
    uint64_t served;
    char *text;
    bool seen; /* its memory is known */
    spawn_memory memory;
    bool whole; /* the row is about its template as a whole: */
    uint64_t running;
    json_t *pids;
    int spares; /* below 0: not known */
    uint64_t spares_most;
    uint64_t ended, faults;
    enum {
        UNKNOWN,
        MEASURED,
        ESTIMATED
    } how;
    uint64_t private_per_job;
} process;

typedef struct {
    process *rows;
    size_t count, room;
    unsigned hidden; /* processes whose memory is not shown to us */
    bool no_memory;
} listing;

/* ---- memory ---- */

static bool look(listing *l, uint64_t pid, spawn_memory *ret)
{
    int rv =
        pid > 0 && pid <= INT32_MAX ? spawn_os_memory((pid_t)pid, ret) : -ESRCH;

    if (rv == -EACCES || rv == -EPERM)
        l->hidden++;
    return rv == 0;
}

/* Memory that its running jobs have for themselves; if none can be seen, the
 * pages that ended jobs touched: each was a fault. */
static void look_at_jobs(listing *l, process *p, const spawn_message *m)
{
    const spawn_attr *pids = &m->attr[SPAWN_A_PIDS];
    bool any = spawn_has(m, SPAWN_A_PIDS);
    spawn_memory memory;
    uint32_t i, seen = 0;
    uint64_t sum = 0;

    for (i = 0; any && i < spawn_u64v_count(pids); i++) {
        uint64_t pid = spawn_u64v_at(pids, i);

        (void)json_array_append_new(p->pids, json_integer((json_int_t)pid));
        if (look(l, pid, &memory)) {
            sum += memory.alone;
            seen++;
        }
    }
    if (seen) {
        p->how = MEASURED;
        p->private_per_job = sum / seen;
    }
    else if (spawn_private_per_job(m, &p->private_per_job)) {
        p->how = ESTIMATED;
    }
}

/* ---- rows ---- */

static char *text_of(const spawn_message *m)
{
    char *text = spawn_has(m, SPAWN_A_TEXT)
                     ? strdup(spawn_attr_str(&m->attr[SPAWN_A_TEXT]))
                     : NULL;
    size_t length = text ? strlen(text) : 0;

    while (length > 0 && strchr(" \r\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void take_whole(listing *l, process *p, const spawn_message *m)
{
    const spawn_attr *faults = &m->attr[SPAWN_A_FAULTS];

    p->whole = true;
    p->running = spawn_attr_u64(&m->attr[SPAWN_A_RUNNING]);
    p->pids = json_array();
    p->spares = p->pid ? ctl_spares(p->pid, p->template) : -1;
    p->spares_most = spawn_u64_or(m, SPAWN_A_TEMPLATE_SPARES, 0);
    if (spawn_has(m, SPAWN_A_FAULTS) && spawn_u64v_count(faults) == 2) {
        p->ended = spawn_u64v_at(faults, 0);
        p->faults = spawn_u64v_at(faults, 1);
    }
    look_at_jobs(l, p, m);
}

static process *new_row(listing *l)
{
    process *rows;
    size_t room = l->room ? 2 * l->room : 32;

    if (l->count == l->room) {
        rows = realloc(l->rows, room * sizeof(*rows));
        if (!rows)
            return NULL;
        l->rows = rows;
        l->room = room;
    }
    memset(&l->rows[l->count], 0, sizeof(*rows));
    return &l->rows[l->count];
}

static void add_row(void *arg, const spawn_message *m)
{
    listing *l = arg;
    process *p = new_row(l);

    if (!p) {
        l->no_memory = true;
        return;
    }
    (void)snprintf(p->template, sizeof(p->template), "%s",
                   spawn_attr_str(&m->attr[SPAWN_A_TEMPLATE]));
    (void)snprintf(p->queue, sizeof(p->queue), "%s",
                   spawn_str_or(m, SPAWN_A_QUEUE, ""));
    p->order = l->count;
    p->kind = (unsigned)spawn_u64_or(m, SPAWN_A_TEMPLATE_KIND, 0);
    p->state = (unsigned)spawn_attr_u64(&m->attr[SPAWN_A_PROCESS_STATE]);
    p->pid = spawn_u64_or(m, SPAWN_A_PID, 0);
    p->started_at = spawn_u64_or(m, SPAWN_A_STARTED_AT, 0);
    p->served = spawn_u64_or(m, SPAWN_A_SERVED, 0);
    p->text = text_of(m);
    p->seen = p->pid && look(l, p->pid, &p->memory);
    if (p->seen && !*p->queue)
        p->memory.proportional += p->memory.frozen; /* it has it for all */
    if (spawn_has(m, SPAWN_A_RUNNING))
        take_whole(l, p, m);
    l->count++;
}

/* Templates by name, and below each its workers by queue and age. */
static int compare(const void *a, const void *b)
{
    const process *p = a, *q = b;
    int rv = strcmp(p->template, q->template);

    if (rv == 0)
        rv = strcmp(p->queue, q->queue);
    if (rv == 0 && *p->queue && p->started_at != q->started_at)
        rv = p->started_at < q->started_at ? -1 : 1;
    return rv ? rv : p->order < q->order ? -1 : 1;
}

static void free_listing(listing *l)
{
    while (l->count > 0) {
        process *p = &l->rows[--l->count];

        free(p->text);
        json_decref(p->pids);
    }
    free(l->rows);
}

static const char *kind_of(const process *p)
{
    if (*p->queue)
        return "worker";
    return p->kind == SPAWN_TEMPLATE_EXEC     ? "exec"
           : p->kind == SPAWN_TEMPLATE_PARENT ? "parent"
                                              : NULL;
}

/* Memory that a job, or the worker, has for itself. */
static bool private_of(const process *p, uint64_t *ret)
{
    *ret = *p->queue ? p->memory.alone : p->private_per_job;
    return *p->queue ? p->seen : p->how != UNKNOWN;
}

/* ---- as a table ---- */

static char *number_cell(bool known, uint64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    return strdup(known ? text : "-");
}

static char *size_cell(bool known, const char *before, uint64_t bytes)
{
    char text[32], whole[40];

    spawn_size_text(bytes, text, sizeof(text));
    (void)snprintf(whole, sizeof(whole), "%s%s", before, text);
    return strdup(known ? whole : "-");
}

/* Those that are ready, and how many there are at most. */
static char *spares_cell(const process *p)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%d/%llu", p->spares,
                   (unsigned long long)p->spares_most);
    return strdup(p->whole && p->spares >= 0 ? text : "-");
}

static char *name_cell(const process *p)
{
    char text[SPAWN_NAME_MAX + 16];

    (void)snprintf(text, sizeof(text), "  %s", p->queue);
    return strdup(*p->queue ? text : p->template);
}

static char *age_cell(const process *p)
{
    char text[32];

    spawn_duration_text(p->started_at ? spawn_wall_ms() - (int64_t)p->started_at
                                      : -1,
                        text, sizeof(text));
    return strdup(text);
}

static void fill_row(process *p, char **cells)
{
    const char *kind = kind_of(p);
    bool there = p->pid || p->started_at;
    uint64_t alone;
    bool known = private_of(p, &alone);

    cells[TEMPLATE] = name_cell(p);
    cells[KIND] = strdup(kind ? kind : "-");
    cells[PID] = number_cell(p->pid != 0, p->pid);
    cells[STATE] = strdup(spawn_process_name(p->state));
    cells[AGE] = age_cell(p);
    cells[JOBS] = number_cell(there, p->served);
    cells[RUNNING] = number_cell(p->whole, p->running);
    cells[SPARES] = spares_cell(p);
    cells[RSS] = size_cell(p->seen, "", p->memory.resident);
    cells[PSS] = size_cell(p->seen, "", p->memory.proportional);
    cells[PRIVATE] = size_cell(known, p->how == ESTIMATED ? "~" : "", alone);
    cells[COLUMNS] = p->text;
    p->text = NULL;
}

static bool print_table(listing *l)
{
    ctl_table table = {columns, COLUMNS, NULL, 0, 0};
    bool done = true;
    size_t i;

    for (i = 0; done && i < l->count; i++) {
        char **cells = ctl_table_row(&table);

        done = cells != NULL;
        if (done)
            fill_row(&l->rows[i], cells);
    }
    if (done)
        ctl_table_print(&table);
    ctl_table_free(&table);
    return done;
}

/* ---- as JSON ---- */

static void put(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

static json_t *bytes_of(bool known, uint64_t bytes)
{
    return known ? json_integer((json_int_t)bytes) : json_null();
}

static void put_whole(json_t *o, const process *p)
{
    put(o, "running", json_integer((json_int_t)p->running));
    (void)json_object_set(o, "pids", p->pids);
    put(o, "spares",
        p->spares < 0 ? json_null() : json_integer((json_int_t)p->spares));
    put(o, "spares_most", json_integer((json_int_t)p->spares_most));
    put(o, "jobs_ended", json_integer((json_int_t)p->ended));
    put(o, "faults", json_integer((json_int_t)p->faults));
    put(o, "private_per_job", bytes_of(p->how != UNKNOWN, p->private_per_job));
    if (p->how != UNKNOWN)
        put(o, "estimated", json_boolean(p->how == ESTIMATED));
}

static json_t *json_row(const process *p)
{
    const char *kind = kind_of(p);
    json_t *o = json_object();

    put(o, "template", ctl_json_string(p->template));
    if (kind)
        put(o, "kind", json_string(kind));
    if (*p->queue)
        put(o, "queue", ctl_json_string(p->queue));
    put(o, "state", json_string(spawn_process_name(p->state)));
    if (p->text)
        put(o, "text", ctl_json_string(p->text));
    if (p->pid)
        put(o, "pid", json_integer((json_int_t)p->pid));
    if (p->started_at) {
        ctl_json_time(o, "started_at", p->started_at);
        put(o, "served", json_integer((json_int_t)p->served));
    }
    put(o, "rss", bytes_of(p->seen, p->memory.resident));
    put(o, "pss", bytes_of(p->seen, p->memory.proportional));
    put(o, "private", bytes_of(p->seen, p->memory.alone));
    if (p->whole)
        put_whole(o, p);
    return o;
}

static void print_json(const listing *l)
{
    json_t *rows = json_array();
    size_t i;

    for (i = 0; i < l->count; i++)
        (void)json_array_append_new(rows, json_row(&l->rows[i]));
    ctl_json_print(rows);
}

/* ---- the verb ---- */

static int no_memory(void)
{
    (void)fputs("spawnctl: no memory for so many processes\n", stderr);
    return CTL_TROUBLE;
}

static int list(spawn_ctl *ctl, listing *l)
{
    spawn_failure why;

    if (spawn_client_templates(ctl->client, add_row, l, &why))
        return ctl_fail(&why);
    if (l->no_memory)
        return no_memory();
    if (l->count)
        qsort(l->rows, l->count, sizeof(*l->rows), compare);
    if (ctl->json)
        print_json(l);
    else if (!print_table(l))
        return no_memory();
    if (l->hidden)
        (void)fprintf(stderr,
                      "spawnctl: the memory of %u process%s is not shown to "
                      "this account: root sees it, mostly also the user that "
                      "the jobs run as\n",
                      l->hidden, l->hidden == 1 ? "" : "es");
    return CTL_OK;
}

int ctl_templates(spawn_ctl *ctl, int argc, char **argv)
{
    listing l;
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return ctl_usage(ctl, "'%s' is too much", argv[optind]);
    code = ctl_connect(ctl);
    if (code)
        return code;
    memset(&l, 0, sizeof(l));
    code = list(ctl, &l);
    free_listing(&l);
    return code;
}
