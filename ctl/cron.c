/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl cron: recurring jobs are listed, run by hand, paused and resumed.
 * Runs in spawnctl. Which there are, and when they run, stands in httpd.conf
 * only: this must change neither.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "ctl/ctl.h"

const char ctl_cron_help[] =
    "usage: spawnctl cron [options] [list]\n"
    "       spawnctl cron [options] run NAME\n"
    "       spawnctl cron [options] pause NAME ...\n"
    "       spawnctl cron [options] resume NAME ...\n"
    "Recurring jobs (SpawnCron in httpd.conf): list them with their next and\n"
    "last run; start a run now and print its id; pause one until it is "
    "resumed,\n"
    "also over restarts.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "NEXT: when it runs next, or 'paused'. LAST: when its last run was "
    "planned,\n"
    "or started by hand. OUTCOME: how that one ended, or its state. ID: of "
    "its\n"
    "job.\n"
    "Exit code: 0; 1 it runs already; 125 spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};

enum {
    NAME,
    SCHEDULE,
    ZONE,
    NEXT,
    LAST,
    OUTCOME,
    ID,
    COLUMNS
};

static const ctl_column columns[COLUMNS] = {
    {"NAME", false}, {"SCHEDULE", false}, {"TZ", false}, {"NEXT", false},
    {"LAST", false}, {"OUTCOME", false},  {"ID", false}};

typedef struct {
    const spawn_ctl *ctl;
    ctl_table table;
    json_t *rows;
    bool no_memory;
} listing;

static const char *const catch_ups[] = {[SPAWN_CATCH_UP_NONE] = "none",
                                        [SPAWN_CATCH_UP_ONE] = "one",
                                        [SPAWN_CATCH_UP_ALL] = "all"};

/* ---- as a table ---- */

static char *time_cell(uint64_t ms)
{
    char text[64];

    if (!ms)
        return strdup("-");
    spawn_time_local(ms, text, sizeof(text));
    return strdup(text);
}

static char *next_cell(const spawn_message *m)
{
    return spawn_has(m, SPAWN_A_CRON_PAUSED)
               ? strdup("paused")
               : time_cell(spawn_u64_or(m, SPAWN_A_CRON_NEXT, 0));
}

static char *outcome_cell(const spawn_message *m)
{
    char text[64];

    if (!spawn_has(m, SPAWN_A_ID))
        return strdup("-");
    spawn_outcome_brief(m, text, sizeof(text));
    return strdup(text);
}

static char *id_cell(const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    if (!spawn_has(m, SPAWN_A_ID))
        return strdup("-");
    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    return strdup(spawn_id_format(&id, text));
}

static void table_row(listing *l, const spawn_message *m)
{
    char **cells = ctl_table_row(&l->table);

    if (!cells) {
        l->no_memory = true;
        return;
    }
    cells[NAME] = strdup(spawn_attr_str(&m->attr[SPAWN_A_CRON]));
    cells[SCHEDULE] = strdup(spawn_attr_str(&m->attr[SPAWN_A_CRON_SCHEDULE]));
    cells[ZONE] = strdup(spawn_str_or(m, SPAWN_A_CRON_ZONE, "-"));
    cells[NEXT] = next_cell(m);
    cells[LAST] = time_cell(spawn_u64_or(
        m, SPAWN_A_CRON_PLANNED, spawn_u64_or(m, SPAWN_A_STARTED_AT, 0)));
    cells[OUTCOME] = outcome_cell(m);
    cells[ID] = id_cell(m);
}

/* ---- as JSON ---- */

static void put(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

static void put_time(json_t *o, const char *name, const spawn_message *m,
                     unsigned attr)
{
    if (spawn_has(m, attr))
        ctl_json_time(o, name, spawn_attr_u64(&m->attr[attr]));
    else
        put(o, name, json_null());
}

static json_t *json_run(const spawn_message *m)
{
    unsigned outcome = (unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0);
    json_t *o = json_object();
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    put(o, "id", json_string(spawn_id_format(&id, text)));
    put(o, "state",
        json_string(
            spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0))));
    put_time(o, "planned_at", m, SPAWN_A_CRON_PLANNED);
    put_time(o, "started_at", m, SPAWN_A_STARTED_AT);
    put_time(o, "ended_at", m, SPAWN_A_ENDED_AT);
    if (outcome)
        put(o, "outcome", json_string(spawn_outcome_name(outcome)));
    if (spawn_has(m, SPAWN_A_EXIT_CODE))
        put(o, "exit_code",
            json_integer(
                (json_int_t)spawn_attr_u64(&m->attr[SPAWN_A_EXIT_CODE])));
    if (spawn_has(m, SPAWN_A_SIGNAL))
        put(o, "signal",
            json_integer((json_int_t)spawn_attr_u64(&m->attr[SPAWN_A_SIGNAL])));
    return o;
}

static void json_row(listing *l, const spawn_message *m)
{
    uint64_t catch_up = spawn_u64_or(m, SPAWN_A_CRON_CATCH_UP, 0);
    json_t *o = json_object();

    put(o, "name", ctl_json_string(spawn_attr_str(&m->attr[SPAWN_A_CRON])));
    put(o, "schedule",
        ctl_json_string(spawn_attr_str(&m->attr[SPAWN_A_CRON_SCHEDULE])));
    put(o, "tz",
        spawn_has(m, SPAWN_A_CRON_ZONE)
            ? ctl_json_string(spawn_attr_str(&m->attr[SPAWN_A_CRON_ZONE]))
            : json_null());
    put(o, "catch_up",
        json_string(catch_up <= SPAWN_CATCH_UP_ALL ? catch_ups[catch_up]
                                                   : "?"));
    put(o, "overlap",
        json_boolean(spawn_u64_or(m, SPAWN_A_CRON_OVERLAP, 0) != 0));
    put_time(o, "next_at", m, SPAWN_A_CRON_NEXT);
    put_time(o, "paused_at", m, SPAWN_A_CRON_PAUSED);
    put(o, "last", spawn_has(m, SPAWN_A_ID) ? json_run(m) : json_null());
    (void)json_array_append_new(l->rows, o);
}

/* ---- the requests ---- */

static void row(void *arg, const spawn_message *m)
{
    listing *l = arg;

    if (m->header.type != SPAWN_M_CRON_ENTRY)
        return;
    if (l->ctl->json)
        json_row(l, m);
    else
        table_row(l, m);
}

/* id: of a run; or NULL. */
static int request(spawn_ctl *ctl, uint64_t what, const char *name,
                   const spawn_id *id, listing *l)
{
    spawn_failure why;
    spawn_writer w;
    uint8_t room[256];

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_CRON, 0);
    spawn_put_u64(&w, SPAWN_A_CRON_DO, what);
    if (name)
        spawn_put_str(&w, SPAWN_A_CRON, name);
    if (id)
        spawn_put_id(&w, SPAWN_A_ID, id);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_rows(ctl->client, &w, row, l, &why)) {
        (void)ctl_fail(&why);
        return why.code == SPAWN_E_CONFLICT ? CTL_NO : CTL_TROUBLE;
    }
    return CTL_OK;
}

static int run(spawn_ctl *ctl, const char *name, listing *l)
{
    char text[SPAWN_ID_TEXT];
    spawn_id id;
    int code;

    if (spawn_id_make(&id)) {
        (void)fputs("spawnctl: the kernel gives no random bytes\n", stderr);
        return CTL_TROUBLE;
    }
    code = request(ctl, SPAWN_CRON_RUN, name, &id, l);
    if (code)
        return code;
    (void)spawn_id_format(&id, text);
    if (ctl->json)
        ctl_json_print(json_pack("{s:s, s:s}", "id", text, "name", name));
    else
        (void)puts(text);
    return CTL_OK;
}

static int list(spawn_ctl *ctl, listing *l)
{
    int code = request(ctl, SPAWN_CRON_LIST, NULL, NULL, l);

    if (code)
        return code;
    if (l->no_memory) {
        (void)fputs("spawnctl: no memory for so many rows\n", stderr);
        return CTL_TROUBLE;
    }
    if (ctl->json)
        ctl_json_print(json_incref(l->rows));
    else
        ctl_table_print(&l->table);
    return CTL_OK;
}

/* ---- the verb ---- */

static int begin(spawn_ctl *ctl, int argc, char **argv, uint64_t *what)
{
    static const char *const words[] = {[SPAWN_CRON_LIST] = "list",
                                        [SPAWN_CRON_RUN] = "run",
                                        [SPAWN_CRON_PAUSE] = "pause",
                                        [SPAWN_CRON_RESUME] = "resume"};
    const char *word = optind < argc ? argv[optind++] : "list";
    size_t i, most;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *what = i;
        most = i == SPAWN_CRON_LIST ? 0 : i == SPAWN_CRON_RUN ? 1 : SIZE_MAX;
        if (i != SPAWN_CRON_LIST && optind == argc)
            return ctl_usage(ctl, "no name; 'spawnctl cron' lists them");
        if ((size_t)(argc - optind) > most)
            return ctl_usage(ctl, "'%s' is too much", argv[optind + (int)most]);
        return -1;
    }
    return ctl_usage(ctl, "'%s' is not known; wanted: list, run, pause, resume",
                     word);
}

int ctl_cron(spawn_ctl *ctl, int argc, char **argv)
{
    listing l = {.ctl = ctl, .table = {columns, COLUMNS, NULL, 0, 0}};
    uint64_t what = SPAWN_CRON_LIST;
    int option, code, worst = CTL_OK;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    code = begin(ctl, argc, argv, &what);
    if (code >= 0)
        return code;
    code = ctl_connect(ctl);
    if (code)
        return code;
    l.rows = json_array();
    if (what == SPAWN_CRON_LIST)
        worst = list(ctl, &l);
    else if (what == SPAWN_CRON_RUN)
        worst = run(ctl, argv[optind], &l);
    for (; what >= SPAWN_CRON_PAUSE && optind < argc; optind++) {
        code = request(ctl, what, argv[optind], NULL, &l);
        if (code > worst)
            worst = code;
    }
    if (what >= SPAWN_CRON_PAUSE && ctl->json)
        ctl_json_print(json_incref(l.rows));
    ctl_table_free(&l.table);
    json_decref(l.rows);
    return worst;
}
