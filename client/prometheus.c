/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's numbers in Prometheus's text format: name, type and help of each
 * metric, and its samples behind them. Runs in callers. Names are a contract:
 * dashboards and alerts are made of them; docs/metrics.md has all.
 */
#include "client/prometheus.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 512

typedef struct {
    spawn_prometheus_sink sink;
    void *arg;
    const spawn_meters_answer *of;
    int64_t now;
    int failed; /* the sink's return value */
} page;

/* ---- lines ---- */

static void line(page *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void line(page *p, const char *fmt, ...)
{
    char text[LINE];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 0 && !p->failed)
        p->failed =
            p->sink(p->arg, text,
                    (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void head(page *p, const char *name, const char *type, const char *help)
{
    line(p, "# HELP mod_spawn_%s %s\n# TYPE mod_spawn_%s %s\n", name, help,
         name, type);
}

/* A value of a label: what ends it is escaped, and what is not ASCII, which no
 * name of ours has, is a question mark. */
#define LABEL (2 * SPAWN_NAME_MAX + 1)

static const char *label(const char *text, char room[LABEL])
{
    char *to = room;
    size_t i;

    for (i = 0; i < SPAWN_NAME_MAX && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\\' || c == '"' || c == '\n')
            *to++ = '\\';
        *to++ = (char)(c == '\n' ? 'n' : c >= 0x80 ? '?' : c);
    }
    *to = '\0';
    return room;
}

#define SECONDS 32

/* Microseconds as seconds, without zeros at the end: 2500 is 0.0025. */
static const char *seconds(uint64_t us, char room[SECONDS])
{
    int n = snprintf(room, SECONDS, "%" PRIu64 ".%06u", us / 1000000,
                     (unsigned)(us % 1000000));

    while (n > 0 && room[n - 1] == '0')
        n--;
    if (n > 0 && room[n - 1] == '.')
        n--;
    room[n] = '\0';
    return room;
}

/* ---- of queues ---- */

/* labels: before le, each ended by a comma. */
static void histogram(page *p, const char *name, const char *labels,
                      const spawn_times *t)
{
    size_t n = strlen(labels);
    char text[SECONDS], plain[LABEL + 16] = "";
    unsigned i;

    for (i = 0; i < t->bounds; i++)
        line(p, "mod_spawn_%s_bucket{%sle=\"%s\"} %" PRIu64 "\n", name, labels,
             seconds(t->of[i].us, text), t->of[i].count);
    line(p, "mod_spawn_%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels,
         t->count);
    if (n > 0)
        (void)snprintf(plain, sizeof(plain), "{%.*s}", (int)n - 1, labels);
    line(p, "mod_spawn_%s_sum%s %s\n", name, plain, seconds(t->sum_us, text));
    line(p, "mod_spawn_%s_count%s %" PRIu64 "\n", name, plain, t->count);
}

static void queue_histograms(page *p, const char *name, const char *help,
                             size_t at)
{
    char room[LABEL], labels[LABEL + 16];
    unsigned i;

    head(p, name, "histogram", help);
    for (i = 0; i < p->of->count; i++) {
        const spawn_meter_row *row = &p->of->queues[i];

        if (!row->has_jobs)
            continue;
        (void)snprintf(labels, sizeof(labels), "queue=\"%s\",",
                       label(row->queue, room));
        histogram(p, name, labels,
                  (const spawn_times *)(const void *)((const char *)row + at));
    }
}

/* A number of each queue. */
typedef uint64_t (*number)(const spawn_meter_row *row);

static void of_queues(page *p, const char *name, const char *type, bool of_jobs,
                      const char *help, number get)
{
    char room[LABEL];
    unsigned i;

    head(p, name, type, help);
    for (i = 0; i < p->of->count; i++) {
        const spawn_meter_row *row = &p->of->queues[i];

        if (row->has_jobs || !of_jobs)
            line(p, "mod_spawn_%s{queue=\"%s\"} %" PRIu64 "\n", name,
                 label(row->queue, room), get(row));
    }
}

#define GET(name, what)                                                        \
    static uint64_t get_##name(const spawn_meter_row *row)                     \
    {                                                                          \
        return what;                                                           \
    }

GET(submitted, row->counts[SPAWN_COUNT_SUBMITTED])
GET(failed, row->counts[SPAWN_COUNT_FAILED])
GET(retried, row->counts[SPAWN_COUNT_RETRIED])
GET(revived, row->counts[SPAWN_COUNT_REVIVED])
GET(dead, row->counts[SPAWN_COUNT_DEAD])
GET(running, row->running)
GET(waiting, row->waiting)
GET(delayed, row->delayed)
GET(limit, row->max_jobs)
GET(paused, (row->mode & SPAWN_QUEUE_PAUSED) != 0)
GET(draining, (row->mode & SPAWN_QUEUE_DRAINING) != 0)

static void ends(page *p)
{
    char room[LABEL];
    unsigned i, k;

    head(p, "jobs_total", "counter",
         "Jobs that ended, by outcome; exited with any code.");
    for (i = 0; i < p->of->count; i++) {
        const spawn_meter_row *row = &p->of->queues[i];

        for (k = SPAWN_OUTCOME_EXITED;
             row->has_jobs && k <= SPAWN_OUTCOME_OUT_OF_MEMORY; k++)
            line(p,
                 "mod_spawn_jobs_total{queue=\"%s\",outcome=\"%s\"} %" PRIu64
                 "\n",
                 label(row->queue, room), spawn_outcome_name(k), row->ended[k]);
    }
}

/* Reasons that never were have no sample, but for the usual one. */
static void refusals_of(page *p, const char *queue, const uint64_t *refused,
                        unsigned always)
{
    char room[LABEL];
    unsigned k;

    for (k = 0; k < SPAWN_TIMES_REASONS; k++) {
        const char *name = k == SPAWN_E_OK ? "unknown" : spawn_error_name(k);

        if ((refused[k] || k == always)
            && (k == SPAWN_E_OK || strcmp(name, "unknown") != 0))
            line(p,
                 "mod_spawn_refusals_total{queue=\"%s\",reason=\"%s\"} "
                 "%" PRIu64 "\n",
                 label(queue, room), name, refused[k]);
    }
}

static void refusals(page *p)
{
    unsigned i;

    head(p, "refusals_total", "counter",
         "Submits that were refused, by error code; an empty queue: it is not "
         "there.");
    for (i = 0; i < p->of->count; i++) {
        const spawn_meter_row *row = &p->of->queues[i];

        if (row->has_jobs)
            refusals_of(p, row->queue, row->refused, SPAWN_E_QUEUE_FULL);
    }
    if (p->of->whole.has_jobs)
        refusals_of(p, "", p->of->elsewhere, SPAWN_E_UNKNOWN_QUEUE);
}

static void oldest(page *p)
{
    char room[LABEL], text[SECONDS];
    unsigned i;

    head(p, "oldest_waiting_seconds", "gauge",
         "For how long the job has waited for its turn that waits longest.");
    for (i = 0; i < p->of->count; i++) {
        const spawn_meter_row *row = &p->of->queues[i];
        int64_t ms = row->oldest_at ? p->now - (int64_t)row->oldest_at : 0;

        line(p, "mod_spawn_oldest_waiting_seconds{queue=\"%s\"} %s\n",
             label(row->queue, room),
             seconds(ms > 0 ? (uint64_t)ms * 1000 : 0, text));
    }
}

static void queues(page *p)
{
#define COUNTER(name, get, help) of_queues(p, name, "counter", true, help, get)
#define GAUGE(name, get, help)   of_queues(p, name, "gauge", false, help, get)
    COUNTER("jobs_submitted_total", get_submitted,
            "Jobs that were submitted and stored.");
    ends(p);
    COUNTER("jobs_failed_total", get_failed,
            "Jobs that ended neither well nor because somebody cancelled "
            "them.");
    COUNTER("jobs_retried_total", get_retried,
            "Attempts that failed and were followed by another one.");
    COUNTER("jobs_revived_total", get_revived, "Dead jobs that were revived.");
    COUNTER("jobs_dead_total", get_dead,
            "Jobs that failed for good: their retries are used up.");
    GAUGE("jobs_running", get_running, "Jobs that start or run.");
    GAUGE("jobs_running_limit", get_limit, "So many may run at once.");
    GAUGE("jobs_waiting", get_waiting,
          "Jobs that wait for their turn or for other jobs.");
    GAUGE("jobs_delayed", get_delayed, "Jobs whose time has not come.");
    oldest(p);
    GAUGE("queue_paused", get_paused, "1: the queue starts no jobs.");
    GAUGE("queue_draining", get_draining, "1: the queue takes no jobs.");
    queue_histograms(p, "wait_seconds",
                     "From the submit of a job, or the time for which it had "
                     "to wait, to its start.",
                     offsetof(spawn_meter_row, waited));
    queue_histograms(p, "run_seconds", "From the start of a job to its end.",
                     offsetof(spawn_meter_row, ran));
    refusals(p);
}

/* ---- of the pair ---- */

static void of_pair(page *p, const char *name, const char *type,
                    const char *help, unsigned of_broker, unsigned of_spawner,
                    uint64_t (*get)(uint64_t is))
{
    static const char *const names[] = {"broker", "spawner"};
    const unsigned at[] = {of_broker, of_spawner};
    unsigned i;

    head(p, name, type, help);
    for (i = 0; i < 2; i++) {
        if (p->of->pair[at[i]]) /* else it is not known */
            line(p, "mod_spawn_%s{process=\"%s\"} %" PRIu64 "\n", name,
                 names[i], get(p->of->pair[at[i]]));
    }
}

static uint64_t as_it_is(uint64_t is)
{
    return is;
}

static uint64_t without_first(uint64_t is)
{
    return is - 1;
}

static uint64_t of_ms(uint64_t is)
{
    return is / 1000;
}

static void pair(page *p)
{
    of_pair(p, "restarts_total", "counter",
            "Brokers and spawners that began after the first one.",
            SPAWN_PAIR_BROKERS, SPAWN_PAIR_SPAWNERS, without_first);
    of_pair(p, "start_time_seconds", "gauge",
            "When the broker began, and the first broker of this spawner, in "
            "Unix time.",
            SPAWN_PAIR_BROKER_SINCE, SPAWN_PAIR_SPAWNER_SINCE, of_ms);
    of_pair(p, "resident_memory_bytes", "gauge",
            "Memory of the broker and the spawner.", SPAWN_PAIR_BROKER_MEMORY,
            SPAWN_PAIR_SPAWNER_MEMORY, as_it_is);
    head(p, "store_commit_seconds", "histogram",
         "How long the transactions took in which the store got jobs.");
    if (p->of->commits.bounds)
        histogram(p, "store_commit_seconds", "", &p->of->commits);
}

int spawn_prometheus_write(const spawn_meters_answer *numbers, int64_t now,
                           spawn_prometheus_sink sink, void *arg)
{
    page p = {.sink = sink, .arg = arg, .of = numbers, .now = now};

    queues(&p);
    pair(&p);
    return p.failed;
}
