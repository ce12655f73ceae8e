/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs as the configuration has them, and the orders that are made of
 * them. Runs in the broker. Must submit nothing: cron.c does. An entry that
 * makes no sense must not stop the others.
 */
#include "broker/caller/cron_entry.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "broker/base/alloc.h"
#include "broker/job/body.h"
#include "broker/job/job.h"
#include "broker/job/queue.h"
#include "broker/run/retry.h"

static spawn_cron_entry *entries;
static size_t entries_count;
static bool read_anew;

/* ---- the configuration ---- */

static void free_entry(spawn_cron_entry *e)
{
    free(e->schedule);
    free(e->plan);
    free(e->rules);
    free(e);
}

spawn_cron_entry *spawn_cron_entries(size_t *ret_count)
{
    if (ret_count)
        *ret_count = entries_count;
    return entries;
}

spawn_cron_entry *spawn_cron_find(const char *name)
{
    spawn_cron_entry *e = entries;

    while (e && strcmp(e->name, name) != 0)
        e = e->next;
    return e;
}

static int waits_longer(const void *a, const void *b)
{
    const spawn_cron_entry *const *one = a, *const *other = b;

    return ((*one)->refused > (*other)->refused)
           - ((*one)->refused < (*other)->refused);
}

/* Else one that has many runs to make up takes each place that is free before
 * another one is tried again. */
spawn_cron_entry **spawn_cron_line(size_t *ret_count)
{
    spawn_cron_entry **line = spawn_alloc((entries_count + 1) * sizeof(*line));
    spawn_cron_entry *e;
    size_t n = 0;

    for (e = entries; e; e = e->next) {
        if (e->refused)
            line[n++] = e;
    }
    qsort(line, n, sizeof(*line), waits_longer);
    for (e = entries; e; e = e->next) {
        if (!e->refused)
            line[n++] = e;
    }
    *ret_count = n;
    return line;
}

bool spawn_cron_has_room(const spawn_cron_entry *e)
{
    const spawn_queue *q = spawn_queue_find(e->queue);

    return q && spawn_queue_has_room(q, false);
}

void spawn_cron_rules_begin(void)
{
    spawn_cron_entry *e;

    for (e = entries; e; e = e->next)
        e->configured = false;
}

static spawn_cron_entry *new_entry(const char *name)
{
    spawn_cron_entry *e = spawn_alloc(sizeof(*e)), **at = &entries;

    (void)strcpy(e->name, name);
    while (*at) /* in the order of the configuration */
        at = &(*at)->next;
    *at = e;
    entries_count++;
    return e;
}

static void set_plan(spawn_cron_entry *e, const char *schedule,
                     const char *zone, const spawn_cron *when)
{
    size_t room = strlen(schedule) + strlen(zone) + 2;

    (void)snprintf(e->zone, sizeof(e->zone), "%s", zone);
    free(e->schedule);
    e->schedule = spawn_strdup(schedule);
    free(e->plan);
    e->plan = spawn_alloc(room);
    (void)snprintf(e->plan, room, "%s|%s", schedule, zone);
    e->when = *when;
    e->next_known = false;
    e->row.name = e->name;
    e->row.plan = e->plan;
}

void spawn_cron_rule(const spawn_attr *nest)
{
    const char *name = "?", *schedule, *zone;
    spawn_cron_entry *e;
    spawn_failure why;
    spawn_message rule;
    spawn_cron when;

    if (spawn_body_parse(nest->data, nest->length, SPAWN_BODY_CRON_RULES, 0,
                         &rule, &why))
        goto bad;
    name = spawn_str_or(&rule, SPAWN_A_CRON, "");
    schedule = spawn_str_or(&rule, SPAWN_A_CRON_SCHEDULE, "");
    zone = spawn_str_or(&rule, SPAWN_A_CRON_ZONE, "");
    spawn_failure_set(&why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                      "this is no name");
    if (!spawn_queue_name_ok(name)
        || spawn_cron_parse(schedule, &when, why.text, sizeof(why.text))
        || (*zone && spawn_zone_check(zone, why.text, sizeof(why.text))))
        goto bad;
    e = spawn_cron_find(name);
    if (!e)
        e = new_entry(name);
    set_plan(e, schedule, zone, &when);
    (void)snprintf(e->queue, sizeof(e->queue), "%s",
                   spawn_str_or(&rule, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE));
    e->catch_up = (unsigned)spawn_u64_or(&rule, SPAWN_A_CRON_CATCH_UP, 0);
    e->overlap = spawn_u64_or(&rule, SPAWN_A_CRON_OVERLAP, 0) != 0;
    e->durable = spawn_u64_or(&rule, SPAWN_A_DURABLE, 0) != 0;
    free(e->rules);
    e->rules = spawn_alloc(nest->length + 1);
    memcpy(e->rules, nest->data, nest->length);
    e->rules_length = nest->length;
    e->configured = true;
    e->known = e->told = false;
    return;
bad:
    spawn_log(SPAWN_LOG_ERR, MSNO(0880) "recurring job %.64s is left out: %s",
              name, why.text);
}

void spawn_cron_rules_end(void)
{
    spawn_cron_entry **at = &entries;

    while (*at) {
        spawn_cron_entry *e = *at;

        if (e->configured) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        entries_count--;
        free_entry(e);
    }
    read_anew = true;
}

bool spawn_cron_rules_new(void)
{
    bool was = read_anew;

    read_anew = false;
    return was;
}

/* ---- runs ---- */

int64_t spawn_cron_entry_next(spawn_cron_entry *e)
{
    if (!e->next_known || e->next_after != e->row.done) {
        e->next_at = spawn_cron_next(&e->when, e->zone, e->row.done);
        e->next_after = e->row.done;
        e->next_known = true;
    }
    return e->next_at;
}

int64_t spawn_cron_entry_last(const spawn_cron_entry *e, int64_t first,
                              int64_t now)
{
    static const int64_t spans[] = {3600, 86400, 32 * 86400, 366 * 86400};
    int64_t from = first, next;
    size_t i;

    for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        if (now - spans[i] <= first)
            break;
        next = spawn_cron_next(&e->when, e->zone, now - spans[i]);
        if (next >= 0 && next <= now) {
            from = next;
            break;
        }
    }
    while ((next = spawn_cron_next(&e->when, e->zone, from)) >= 0
           && next <= now)
        from = next;
    return from;
}

/* Looks back from now, since years may have passed since the first. */
int64_t spawn_cron_entry_oldest(const spawn_cron_entry *e, int64_t first,
                                int64_t now)
{
    static int64_t last[SPAWN_CRON_MADE_UP];
    int64_t span, from, next;
    size_t count;

    for (span = SPAWN_CRON_MADE_UP * 60;; span *= 2) {
        count = 0;
        from = now - span > first ? now - span : first - 1;
        next = from;
        while ((next = spawn_cron_next(&e->when, e->zone, next)) >= 0
               && next <= now)
            last[count++ % SPAWN_CRON_MADE_UP] = next;
        if (count >= SPAWN_CRON_MADE_UP)
            return last[count % SPAWN_CRON_MADE_UP];
        if (from < first)
            return first;
    }
}

/* FNV-1a, and the mixer of splitmix64 behind it. */
static uint64_t hash(uint64_t h, const void *data, size_t length)
{
    const uint8_t *p = data;
    size_t i;

    for (i = 0; i < length; i++)
        h = (h ^ p[i]) * 0x100000001b3u; /* NOLINT: all of it is set */
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

static void make_id(const spawn_cron_entry *e, int64_t planned, int64_t round,
                    spawn_id *ret)
{
    const int64_t which[2] = {planned, round};
    uint64_t ms = (uint64_t)planned * 1000;
    uint64_t a = hash(0xcbf29ce484222325u, e->name, strlen(e->name));
    uint64_t b;
    int i;

    a = hash(a, which, sizeof(which));
    b = hash(a ^ 0x9e3779b97f4a7c15u, e->name, strlen(e->name));
    for (i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
    for (i = 0; i < 2; i++)
        ret->bytes[6 + i] = (uint8_t)(a >> (8 * i));
    for (i = 0; i < 8; i++)
        ret->bytes[8 + i] = (uint8_t)(b >> (8 * i));
    ret->bytes[6] = (uint8_t)(0x70 | (ret->bytes[6] & 0x0f));
    ret->bytes[8] = (uint8_t)(0x80 | (ret->bytes[8] & 0x3f));
}

void spawn_cron_id(const spawn_cron_entry *e, int64_t planned, spawn_id *ret)
{
    make_id(e, planned, e->row.round, ret);
}

void spawn_cron_later_id(const spawn_cron_entry *e, int64_t planned,
                         unsigned later, spawn_id *ret)
{
    make_id(e, planned, e->row.round + later, ret);
}

/* Hardly any other id has the time of a whole minute. */
static bool may_be_run(const spawn_id *id)
{
    return spawn_id_time(id) % 60000 == 0;
}

/* Since it was made, the clock may have been set back so often; or a power cut
 * has cost the row what the ledger's runs still have. */
static bool is_run(const spawn_cron_entry *e, const spawn_id *id, int64_t often)
{
    int64_t ms = (int64_t)spawn_id_time(id);
    int64_t i = often && e->durable ? -SPAWN_CRON_ROUNDS : 0;
    spawn_id own;

    for (; may_be_run(id) && i <= often && i <= e->row.round; i++) {
        make_id(e, ms / 1000, e->row.round - i, &own);
        if (spawn_id_equal(&own, id))
            return true;
    }
    return false;
}

/* One that has just ended, as the spawner tells a broker that begins, may be
 * tried again. */
static bool is_open(spawn_job *job)
{
    if (!job)
        return false;
    spawn_retry_judge(job);
    return job->state != SPAWN_STATE_DONE || job->again;
}

static bool same_text(const spawn_message *a, const spawn_message *b,
                      unsigned which)
{
    const spawn_attr *one = &a->attr[which], *other = &b->attr[which];

    if (!spawn_has(a, which) || !spawn_has(b, which))
        return spawn_has(a, which) == spawn_has(b, which);
    return one->length == other->length
           && (one->length == 0
               || memcmp(one->data, other->data, one->length) == 0);
}

/* What is run: options may be others by now. */
static bool is_order_of(const spawn_cron_entry *e, const spawn_job *job)
{
    static const uint8_t fields[] = {SPAWN_A_FUNCTION, SPAWN_A_ARGS,
                                     SPAWN_A_ARGV};
    spawn_message rule, order;
    size_t i;

    if (spawn_body_read(job, job->body, &order, NULL)
        || strcmp(spawn_str_or(&order, SPAWN_A_LABEL, ""), e->name) != 0
        || spawn_body_parse(e->rules, e->rules_length, SPAWN_BODY_CRON_RULES, 0,
                            &rule, NULL))
        return false;
    for (i = 0; i < sizeof(fields); i++) {
        if (!same_text(&rule, &order, fields[i]))
            return false;
    }
    return true;
}

/* Its id says nothing, and its row has let go of it when the store did not take
 * it, or the ledger: but that may have it. One that the store has is in the
 * row, too. */
static bool is_by_hand(const spawn_cron_entry *e, const spawn_job *job)
{
    return e->durable && job->ledger && !job->in_store && job->body
           && job->caller_uid == geteuid()
           && strcmp(job->queue->name, e->queue) == 0 && is_order_of(e, job);
}

/* A broker was killed before it could note a run in the row, or the entry was
 * removed and is back, and the run goes on. The time that the row has dealt
 * with may go on, too: it was paused and resumed meanwhile, or its clock is
 * another one. */
static void adopt(spawn_cron_entry *e, spawn_job *job)
{
    int64_t planned = (int64_t)(spawn_id_time(&job->id) / 1000);
    bool by_hand = false;

    if (!(planned > e->row.done && is_run(e, &job->id, 0))) {
        bool is_planned = is_run(e, &job->id, SPAWN_CRON_ROUNDS);

        by_hand = !is_planned && is_by_hand(e, job);
        if (e->overlap || !(is_planned || by_hand) || !is_open(job)
            || (e->row.has_run && is_open(spawn_job_find(&e->row.id))))
            return;
    }
    e->pending = true;
    e->pending_id = job->id;
    e->pending_planned = by_hand ? 0 : planned;
    e->pending_stored = job->in_store;
}

/* Hardly any other job is one that only the ledger has. */
static spawn_job *next_that_may_be(spawn_job *job)
{
    do
        job = spawn_job_next(job);
    while (job && !may_be_run(&job->id) && (!job->ledger || job->in_store));
    return job;
}

void spawn_cron_adopt(spawn_cron_entry *e)
{
    spawn_job *job = NULL;

    while (!e->pending && (job = next_that_may_be(job)))
        adopt(e, job);
}

void spawn_cron_adopt_all(void)
{
    spawn_job *job = NULL;
    spawn_cron_entry *e;

    while ((job = next_that_may_be(job))) {
        for (e = spawn_cron_entries(NULL); e; e = e->next) {
            if (e->known && !e->pending)
                adopt(e, job);
        }
    }
}

int spawn_cron_order(const spawn_cron_entry *e, const spawn_id *id,
                     spawn_writer *w)
{
    static const uint8_t fields[] = {
        SPAWN_A_FUNCTION,  SPAWN_A_ARGS,    SPAWN_A_ARGV,     SPAWN_A_QUEUE,
        SPAWN_A_TIMEOUT,   SPAWN_A_USER,    SPAWN_A_RETRY,    SPAWN_A_RETRY_ON,
        SPAWN_A_BACKOFF,   SPAWN_A_EXPIRES, SPAWN_A_PRIORITY, SPAWN_A_DURABLE,
        SPAWN_A_ON_FAILURE};
    spawn_message rule;
    size_t i;

    spawn_writer_init(w, spawn_message_max(SPAWN_M_SUBMIT));
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
    if (spawn_body_parse(e->rules, e->rules_length, SPAWN_BODY_CRON_RULES, 0,
                         &rule, NULL))
        return -1;
    for (i = 0; i < sizeof(fields); i++) {
        if (spawn_has(&rule, fields[i]))
            spawn_put_attr(w, fields[i], &rule.attr[fields[i]]);
    }
    spawn_put_str(w, SPAWN_A_LABEL, e->name);
    return spawn_writer_finish(w, 0);
}
