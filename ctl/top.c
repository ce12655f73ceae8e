/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl top: the queues in a terminal, again and again. Runs in spawnctl.
 * Must leave the terminal as it was, however it ends: also by a signal.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "client/meters.h"
#include "ctl/ctl.h"

#define INTERVAL_MS 2000
#define SHORTEST_MS 100
#define LONGEST_MS  86400000
#define SPARKS      10 /* minutes that are shown */
#define ALL_SIGNALS 4

const char ctl_top_help[] =
    "usage: spawnctl top [options]\n"
    "The queues, shown again every 2 s: what runs and waits, and what has "
    "ended.\n"
    "\n"
    "      --interval TIME   how often (default: 2 s)\n"
    "      --once            look once, and end\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, -h, --help, -V, --version\n"
    "\n"
    "RUNS: how many, and how many can. WAITS: for anything. ENDED and FAILED: "
    "in the\n"
    "last 60 minutes. WAIT and RUN: how long half of all jobs waited and ran "
    "at most.\n"
    "LAST 10 MIN, where there is room: how many ended in each minute. q or "
    "Ctrl-C ends\n"
    "it. Not at a terminal it looks once.\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"interval", required_argument, NULL, 'i'},
    {"once", no_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

enum {
    QUEUE,
    STATE,
    RUNNING,
    WAITING,
    OLDEST,
    ENDED,
    FAILED,
    WAIT,
    RUN,
    LAST,
    COLUMNS
};

static const ctl_column columns[COLUMNS] = {
    {"QUEUE", false}, {"STATE", false},      {"RUNS", true},   {"WAITS", true},
    {"OLDEST", true}, {"ENDED", true},       {"FAILED", true}, {"WAIT", true},
    {"RUN", true},    {"LAST 10 MIN", false}};

/* ---- cells ---- */

/* At most 6 characters, so that all columns but the last fit into 80. */
static char *number_cell(uint64_t n)
{
    char text[32];

    if (n < 1000000)
        (void)snprintf(text, sizeof(text), "%u", (unsigned)n);
    else if (n < 100000000)
        (void)snprintf(text, sizeof(text), "%.1fM", (double)n / 1e6);
    else if (n < 10000000000)
        (void)snprintf(text, sizeof(text), "%.0fM", (double)n / 1e6);
    else
        (void)snprintf(text, sizeof(text), "%.0fG", (double)n / 1e9);
    return strdup(text);
}

/* The same: at most 14. */
static char *name_cell(const char *name)
{
    char text[15];

    (void)snprintf(text, sizeof(text), "%.14s", name);
    if (strlen(name) >= sizeof(text))
        text[sizeof(text) - 2] = '~';
    return strdup(text);
}

static const char *state_of(const spawn_meter_row *q)
{
    static const char *const modes[] = {[SPAWN_QUEUE_OPEN] = "open",
                                        [SPAWN_QUEUE_PAUSED] = "paused",
                                        [SPAWN_QUEUE_DRAINING] = "drain",
                                        [SPAWN_QUEUE_BOTH] = "closed"};

    if (q->removed && q->mode == SPAWN_QUEUE_OPEN)
        return "removed";
    return q->mode <= SPAWN_QUEUE_BOTH ? modes[q->mode] : "?";
}

static char *running_cell(const spawn_meter_row *q)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%llu/%llu",
                   (unsigned long long)q->running,
                   (unsigned long long)q->max_jobs);
    return strdup(text);
}

static char *oldest_cell(const spawn_meter_row *q, int64_t now)
{
    char text[32];

    if (!q->oldest_at)
        return strdup("-");
    spawn_duration_text(
        now > (int64_t)q->oldest_at ? now - (int64_t)q->oldest_at : 0, text,
        sizeof(text));
    return strdup(text);
}

/* The bound that half of them do not exceed. */
static char *half_cell(const spawn_times *t)
{
    char text[40], time[32];
    unsigned i;

    for (i = 0; i < t->bounds && t->count; i++) {
        if (2 * t->of[i].count >= t->count)
            break;
    }
    if (t->count == 0 || t->bounds == 0)
        return strdup("-");
    spawn_duration_text(
        (int64_t)(t->of[i < t->bounds ? i : t->bounds - 1].us / 1000), time,
        sizeof(time));
    (void)snprintf(text, sizeof(text), "%s%s", i < t->bounds ? "" : ">", time);
    return strdup(text);
}

/* Eight heights, the highest for the minute with most; ASCII for terminals
 * without UTF-8. */
static char *sparks_cell(const spawn_meter_row *q)
{
    static const char levels[] = " .:-=+*#@";
    char text[SPARKS + 1];
    uint64_t most = 0;
    unsigned i;

    for (i = 0; i < SPARKS; i++) {
        uint64_t n = q->minutes[SPAWN_TIMES_MINUTES - SPARKS + i].ended;

        most = n > most ? n : most;
    }
    for (i = 0; i < SPARKS; i++) {
        uint64_t n = q->minutes[SPAWN_TIMES_MINUTES - SPARKS + i].ended;

        text[i] = levels[n ? (n * 7 + most / 2) / most + 1 : 0];
    }
    text[SPARKS] = '\0';
    return strdup(text);
}

static bool add_row(ctl_table *table, const spawn_meter_row *q, int64_t now)
{
    char **cells = ctl_table_row(table);
    uint64_t ended, failed;

    if (!cells)
        return false;
    spawn_meter_hour(q, &ended, &failed);
    cells[QUEUE] = name_cell(q->queue);
    cells[STATE] = strdup(state_of(q));
    cells[RUNNING] = running_cell(q);
    cells[WAITING] = number_cell(q->waiting + q->delayed);
    cells[OLDEST] = oldest_cell(q, now);
    cells[ENDED] = number_cell(ended);
    cells[FAILED] = number_cell(failed);
    cells[WAIT] = half_cell(&q->waited);
    cells[RUN] = half_cell(&q->ran);
    cells[LAST] = sparks_cell(q);
    return true;
}

/* ---- a look ---- */

static void head(const spawn_meters_answer *a, int64_t now)
{
    const uint64_t *p = a->pair;
    char since[32], broker[16], spawner[16], when[64];
    int64_t began = (int64_t)p[SPAWN_PAIR_BROKER_SINCE];

    spawn_time_local((uint64_t)now, when, sizeof(when));
    when[19] = '\0'; /* to the second */
    spawn_duration_text(began && now > began ? now - began : 0, since,
                        sizeof(since));
    spawn_size_text(p[SPAWN_PAIR_BROKER_MEMORY], broker, sizeof(broker));
    spawn_size_text(p[SPAWN_PAIR_SPAWNER_MEMORY], spawner, sizeof(spawner));
    (void)printf("%s  broker up %s, %s; spawner %s; %llu restarts\n\n", when,
                 since, broker, spawner,
                 (unsigned long long)(p[SPAWN_PAIR_BROKERS]
                                      - (p[SPAWN_PAIR_BROKERS] > 0)));
}

/* 0, or -1 with why: it is told when the terminal is as it was. */
static int look(const spawn_ctl *ctl, bool whole_screen, spawn_failure *why)
{
    ctl_table table = {columns, COLUMNS, NULL, 0, 0};
    int64_t now = spawn_wall_ms();
    spawn_meters_answer answer;
    bool memory = true;
    unsigned i;

    if (spawn_client_meters(ctl->client, NULL, &answer, why)) {
        spawn_meters_free(&answer);
        return -1;
    }
    for (i = 0; i < answer.count && memory; i++)
        memory = add_row(&table, &answer.queues[i], now);
    if (whole_screen)
        (void)fputs("\033[H\033[2J", stdout);
    head(&answer, now);
    ctl_table_print(&table);
    (void)fflush(stdout);
    ctl_table_free(&table);
    spawn_meters_free(&answer);
    if (memory)
        return 0;
    spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, ENOMEM,
                      "no memory for so many queues");
    return -1;
}

/* ---- the terminal ---- */

typedef struct {
    struct termios was;
    bool changed;
    int signals; /* a signalfd */
} screen;

static void screen_restore(const screen *s)
{
    if (s->changed)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &s->was);
    (void)fputs("\033[?25h\033[?1049l", stdout);
    (void)fflush(stdout);
    if (s->signals >= 0)
        (void)close(s->signals);
}

/* Signals that would end us are read: the terminal is restored before. */
static int screen_begin(screen *s)
{
    static const int ends[ALL_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct termios raw;
    sigset_t set;
    unsigned i;

    s->changed = false;
    (void)sigemptyset(&set);
    for (i = 0; i < ALL_SIGNALS; i++)
        (void)sigaddset(&set, ends[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return -errno;
    if (tcgetattr(STDIN_FILENO, &s->was) == 0) {
        raw = s->was;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* the screen would stay as it is */
        s->changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    (void)fputs("\033[?1049h\033[?25l", stdout);
    return 0;
}

/* True: it is to end. */
static bool wait_for_user(const screen *s, int64_t until)
{
    struct pollfd p[2] = {{s->signals, POLLIN, 0},
                          {s->changed ? STDIN_FILENO : -1, POLLIN, 0}};
    char key;

    for (;;) {
        int64_t left = until - spawn_mono_ms();

        if (left <= 0)
            return false;
        if (poll(p, 2, (int)left) <= 0)
            continue;
        if (p[0].revents)
            return true;
        if (p[1].revents
            && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
            return true;
    }
}

static int watch(const spawn_ctl *ctl, int64_t interval, spawn_failure *why)
{
    screen s;
    int rv;

    if (screen_begin(&s)) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, errno,
                          "no descriptor for signals");
        return -1;
    }
    do {
        rv = look(ctl, true, why);
    } while (rv == 0 && !wait_for_user(&s, spawn_mono_ms() + interval));
    screen_restore(&s);
    return rv;
}

/* ---- the verb ---- */

static int take_interval(const spawn_ctl *ctl, const char *text, int64_t *ret)
{
    uint64_t ms;

    if (spawn_parse_duration(text, &ms) || ms < SHORTEST_MS || ms > LONGEST_MS)
        return ctl_usage(ctl,
                         "--interval: '%s' is not allowed; wanted: a time such "
                         "as 5 or 500ms, at least 100ms and at most 1d",
                         text);
    *ret = (int64_t)ms;
    return -1;
}

int ctl_top(spawn_ctl *ctl, int argc, char **argv)
{
    int64_t interval = INTERVAL_MS;
    spawn_failure why;
    bool once = false;
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        if (option == 'o') {
            once = true;
            continue;
        }
        code = option == 'i'   ? take_interval(ctl, optarg, &interval)
               : option == 'T' ? ctl_option_timeout(ctl, optarg)
                               : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return ctl_usage(ctl, "'%s' is too much", argv[optind]);
    if (ctl->json)
        return ctl_usage(ctl, "top is for people: 'spawnctl queues --json' is "
                              "for programs");
    code = ctl_connect(ctl);
    if (code)
        return code;
    code = once || !isatty(STDOUT_FILENO) ? look(ctl, false, &why)
                                          : watch(ctl, interval, &why);
    return code ? ctl_fail(&why) : CTL_OK;
}
