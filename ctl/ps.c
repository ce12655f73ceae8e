/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl ps: the jobs as a table, the newest first. Runs in spawnctl. Must
 * change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "client/choice.h"
#include "ctl/ctl.h"

const char ctl_ps_help[] =
    "usage: spawnctl ps [options]\n"
    "List jobs, the newest first: those that are delayed, queued, starting or\n"
    "running.\n"
    "\n"
    "  -a, --all             also those that have ended\n"
    "  -q, --queue NAME      only those of one queue\n"
    "      --request ID      only those of one request, or of its jobs\n"
    "      --user NAME       only those of requests of one user\n"
    "      --vhost NAME      only those of requests of one virtual host\n"
    "      --outcome O[,O]   only failed ones (all that did neither exit with "
    "0 nor\n"
    "                        were cancelled), or exited, signalled, "
    "timed_out,\n"
    "                        cancelled, start_failed, expired, lost,\n"
    "                        code_unknown, out_of_memory\n"
    "      --what TEXT       only those whose program or function has the "
    "text\n"
    "      --label TEXT      only those whose label has it\n"
    "      --search TEXT     only those that have it in their id, queue, "
    "label,\n"
    "                        arguments, function, request or fault\n"
    "      --since TIME      only those that were submitted then or later: 2h "
    "(ago),\n"
    "                        2030-01-31, 2030-01-31T17:30\n"
    "      --until TIME      only those that were submitted before\n"
    "      --ended-since TIME\n"
    "                        only those that ended then or later\n"
    "      --oldest          the oldest first\n"
    "      --state S[,S]     only delayed, queued, starting, running, done, "
    "or\n"
    "                        dead (done badly, with no retry left)\n"
    "  -n, --rows N          at most N\n"
    "  -l, --long            whole ids also on a terminal (else their ends)\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "TIME: until it is due (delayed, with 'in'), since it was submitted "
    "(queued),\n"
    "since it was started (running), or from start to end (done).\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

/* Options without a letter. */
enum {
    CONTEXT = 256, /* and what they ask of the context */
    OUTCOME = CONTEXT + SPAWN_BY_CONTEXTS,
    WHAT,
    LABEL,
    SEARCH,
    SINCE,
    UNTIL,
    ENDED_SINCE,
    OLDEST
};

static const struct option options[] = {
    {"all", no_argument, NULL, 'a'},
    {"queue", required_argument, NULL, 'q'},
    {"state", required_argument, NULL, 'S'},
    {"request", required_argument, NULL, CONTEXT + SPAWN_BY_REQUEST},
    {"user", required_argument, NULL, CONTEXT + SPAWN_BY_USER},
    {"vhost", required_argument, NULL, CONTEXT + SPAWN_BY_VHOST},
    {"outcome", required_argument, NULL, OUTCOME},
    {"what", required_argument, NULL, WHAT},
    {"label", required_argument, NULL, LABEL},
    {"search", required_argument, NULL, SEARCH},
    {"since", required_argument, NULL, SINCE},
    {"until", required_argument, NULL, UNTIL},
    {"ended-since", required_argument, NULL, ENDED_SINCE},
    {"oldest", no_argument, NULL, OLDEST},
    {"rows", required_argument, NULL, 'n'},
    {"long", no_argument, NULL, 'l'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

enum {
    ID,
    STATE,
    QUEUE,
    PID,
    TIME,
    COMMAND,
    COLUMNS
};

static const ctl_column columns[COLUMNS] = {
    {"ID", false}, {"STATE", false}, {"QUEUE", false},
    {"PID", true}, {"TIME", true},   {"COMMAND", false}};

typedef struct {
    bool all;
    spawn_choice choice;
    bool whole_ids;
    json_t *json;
    ctl_table table;
    bool no_memory;
} listing;

/* ---- rows ---- */

static int64_t time_of(const spawn_message *job)
{
    unsigned since = SPAWN_A_SUBMITTED_AT;

    if (spawn_u64_or(job, SPAWN_A_STATE, 0) == SPAWN_STATE_DONE)
        return spawn_has(job, SPAWN_A_ELAPSED) ? (
                   int64_t)(spawn_attr_u64(&job->attr[SPAWN_A_ELAPSED]) / 1000)
                                               : -1;
    if (spawn_has(job, SPAWN_A_STARTED_AT))
        since = SPAWN_A_STARTED_AT;
    if (!spawn_has(job, since))
        return -1;
    return spawn_wall_ms() - (int64_t)spawn_attr_u64(&job->attr[since]);
}

static void put_time(const spawn_message *job, char *text, size_t room)
{
    int64_t left = (int64_t)spawn_u64_or(job, SPAWN_A_DUE_AT, 0);

    if (spawn_u64_or(job, SPAWN_A_STATE, 0) != SPAWN_STATE_DELAYED) {
        spawn_duration_text(time_of(job), text, room);
        return;
    }
    left -= spawn_wall_ms();
    (void)strcpy(text, "in ");
    spawn_duration_text(left > 0 ? left : 0, text + 3, room - 3);
}

static char *command_of(const spawn_message *job)
{
    const char *more = spawn_has(job, SPAWN_A_ARGV_CUT) ? " ..." : "";
    const char *label = spawn_str_or(job, SPAWN_A_LABEL, "");
    char *command = spawn_command_text(job, SIZE_MAX);
    char progress[512] = "";
    char *text = NULL;

    if (!command
        || (!spawn_progress_text(job, progress, sizeof(progress)) && !*label
            && !*more))
        return command;
    if (asprintf(&text, "%s%s%s%s%s%s%s%s", *label ? "[" : "", label,
                 *label ? "] " : "", command, more, *progress ? " (" : "",
                 progress, *progress ? ")" : "")
        < 0)
        text = NULL;
    free(command);
    return text;
}

static void fill_row(const listing *l, const spawn_message *job, char **cells)
{
    char text[128], id_text[SPAWN_ID_TEXT];
    size_t used;
    spawn_id id;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    (void)spawn_id_format(&id, id_text);
    cells[ID] = strdup(l->whole_ids ? id_text : strrchr(id_text, '-') + 1);
    spawn_outcome_brief(job, text, sizeof(text));
    used = strlen(text);
    ctl_rules_brief(job, text + used, sizeof(text) - used);
    cells[STATE] = strdup(text);
    cells[QUEUE] = strdup(spawn_str_or(job, SPAWN_A_QUEUE, ""));
    (void)snprintf(text, sizeof(text), "%llu",
                   (unsigned long long)spawn_u64_or(job, SPAWN_A_PID, 0));
    cells[PID] = strdup(spawn_has(job, SPAWN_A_PID) ? text : "-");
    put_time(job, text, sizeof(text));
    cells[TIME] = strdup(text);
    cells[COMMAND] = command_of(job);
}

static bool add_row(void *arg, const spawn_message *job)
{
    listing *l = arg;
    char **cells;

    if (l->json) {
        (void)json_array_append_new(l->json, ctl_json_job(job));
        return true;
    }
    cells = ctl_table_row(&l->table);
    if (!cells) {
        l->no_memory = true;
        return false;
    }
    fill_row(l, job, cells);
    return true;
}

/* ---- options and request ---- */

#define VALUE_MAX 256u  /* longer ones are cut when a request is noted */
#define LOOKS     50000 /* rows of one question, which has a deadline */

static const char *name_of(int option)
{
    size_t i;

    for (i = 0; options[i].name && options[i].val != option; i++)
        ;
    return options[i].name;
}

static int read_states(const spawn_ctl *ctl, const char *text, listing *l)
{
    char copy[128];
    char *save = NULL;
    char *word;

    (void)snprintf(copy, sizeof(copy), "%s", text);
    l->choice.states = 0;
    for (word = strtok_r(copy, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        int state = spawn_state_number(word);
        bool dead = strcmp(word, "dead") == 0;

        if (state <= SPAWN_STATE_NONE && !dead)
            return ctl_usage(ctl,
                             "--state: '%s' is not a state; wanted: delayed, "
                             "queued, starting, running, done, dead",
                             word);
        l->choice.states |= dead ? SPAWN_STATES_DEAD : 1ull << state;
    }
    if (!l->choice.states)
        return ctl_usage(ctl, "--state: wanted: delayed, queued, starting, "
                              "running, done, dead");
    return -1;
}

static int read_rows(const spawn_ctl *ctl, const char *text, listing *l)
{
    int64_t rows;

    if (spawn_parse_integer(text, &rows) || rows < 1)
        return ctl_usage(ctl,
                         "--rows: '%s' is not allowed; wanted: a number "
                         "from 1",
                         text);
    l->choice.rows = (uint64_t)rows;
    return -1;
}

static int read_text(const spawn_ctl *ctl, int option, size_t most,
                     const char **ret)
{
    size_t length = strlen(optarg);

    if (length == 0 || length > most)
        return ctl_usage(ctl, "--%s: wanted: 1 to %zu bytes", name_of(option),
                         most);
    *ret = optarg;
    return -1;
}

static int read_outcomes(const spawn_ctl *ctl, listing *l)
{
    if (spawn_choice_ended(optarg, &l->choice.ended))
        return ctl_usage(ctl, "--outcome: '%s' is not one; wanted: %s", optarg,
                         SPAWN_CHOICE_ENDED_WANTED);
    l->all = true; /* they have ended */
    return -1;
}

static int read_time(const spawn_ctl *ctl, int option, uint64_t *ret)
{
    if (spawn_choice_time(optarg, spawn_wall_ms(), ret))
        return ctl_usage(ctl, "--%s: '%s' is not a time; wanted: %s",
                         name_of(option), optarg, SPAWN_CHOICE_TIME_WANTED);
    return -1;
}

/* The options that choose by texts, ends and times. */
static int read_choice(const spawn_ctl *ctl, int option, listing *l)
{
    spawn_choice *c = &l->choice;

    switch (option) {
    case OUTCOME:
        return read_outcomes(ctl, l);
    case WHAT:
        return read_text(ctl, option, SPAWN_SEARCH_MAX, &c->what);
    case LABEL:
        return read_text(ctl, option, SPAWN_LABEL_MAX, &c->label);
    case SEARCH:
        return read_text(ctl, option, SPAWN_SEARCH_MAX, &c->search);
    case SINCE:
        return read_time(ctl, option, &c->since);
    case UNTIL:
        return read_time(ctl, option, &c->until);
    case ENDED_SINCE:
        l->all = true; /* they have ended */
        return read_time(ctl, option, &c->ended_since);
    case OLDEST:
        c->oldest_first = true;
        return -1;
    default:
        return read_text(ctl, option, VALUE_MAX, &c->context[option - CONTEXT]);
    }
}

static int read_option(spawn_ctl *ctl, int option, listing *l)
{
    switch (option) {
    case 'a':
        l->all = true;
        return -1;
    case 'q':
        if (!spawn_queue_name_ok(optarg))
            return ctl_usage(ctl, "--queue: '%s' is not a queue's name",
                             optarg);
        l->choice.queue = optarg;
        return -1;
    case 'S':
        return read_states(ctl, optarg, l);
    case 'n':
        return read_rows(ctl, optarg, l);
    case 'l':
        l->whole_ids = true;
        return -1;
    case 'T':
        return ctl_option_timeout(ctl, optarg);
    default:
        return option >= CONTEXT ? read_choice(ctl, option, l)
                                 : ctl_option(ctl, option);
    }
}

/* For people: those that somebody has to look after, and that are not among
 * the rows. On stderr, so that the table stays one. */
static void tell_dead(spawn_ctl *ctl, const listing *l)
{
    spawn_failure why;
    spawn_answer answer;
    uint8_t room[256];
    spawn_writer w;
    uint64_t count;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    if (l->choice.queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, l->choice.queue);
    spawn_put_u64(&w, SPAWN_A_STATES, SPAWN_STATES_DEAD);
    spawn_put_u64(&w, SPAWN_A_ROWS, 0);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(ctl->client, &w, 0, &answer, &why))
        return; /* the table is printed */
    count = spawn_u64_or(&answer.message, SPAWN_A_DEAD, 0);
    spawn_answer_free(&answer);
    if (count > 0)
        (void)fprintf(stderr, "%llu dead; 'spawnctl ps --state dead'\n",
                      (unsigned long long)count);
}

/* By more than state and queue. */
static bool of_some(const spawn_choice *c)
{
    bool some = c->ended || c->what || c->label || c->search || c->since
                || c->until || c->ended_since;
    int i;

    for (i = 0; i < SPAWN_BY_CONTEXTS; i++)
        some |= c->context[i] != NULL;
    return some;
}

static int list(spawn_ctl *ctl, listing *l)
{
    spawn_failure why;
    uint8_t room[SPAWN_WIRE_HEADER + SPAWN_LIST_BODY];
    spawn_writer w;

    if (of_some(&l->choice))
        l->choice.looks = LOOKS;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_choice_write(&l->choice, &w);
    if (spawn_client_list(ctl->client, &w, add_row, l, &why))
        return ctl_fail(&why);
    if (l->no_memory) {
        (void)fputs("spawnctl: no memory for so many jobs\n"
                    "  --rows limits their number\n",
                    stderr);
        return CTL_TROUBLE;
    }
    if (l->json) {
        ctl_json_print(l->json);
        l->json = NULL;
    }
    else {
        ctl_table_print(&l->table);
        (void)fflush(stdout);
        if (!l->all && !of_some(&l->choice)
            && !(l->choice.states & SPAWN_STATES_DEAD))
            tell_dead(ctl, l);
    }
    return CTL_OK;
}

int ctl_ps(spawn_ctl *ctl, int argc, char **argv)
{
    listing l;
    int option, code;

    memset(&l, 0, sizeof(l));
    l.table.columns = columns;
    l.table.count = COLUMNS;
    l.whole_ids = ctl_terminal_width() == 0;
    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "aq:n:l",
                                options))
           != -1) {
        code = read_option(ctl, option, &l);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return ctl_usage(ctl, "'%s' is too much; 'spawnctl show' takes ids",
                         argv[optind]);
    if (!l.choice.states && !l.all)
        l.choice.states =
            1ull << SPAWN_STATE_QUEUED | 1ull << SPAWN_STATE_STARTING
            | 1ull << SPAWN_STATE_RUNNING | 1ull << SPAWN_STATE_DELAYED;
    code = ctl_connect(ctl);
    if (code)
        return code;
    if (ctl->json)
        l.json = json_array();
    code = list(ctl, &l);
    ctl_table_free(&l.table);
    json_decref(l.json);
    return code;
}
