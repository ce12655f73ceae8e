/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the broker's numbers true (docs/metrics.md)? What is checked here: they
 * never go back while their memory lives, whoever is killed; the sums are sums;
 * no more is counted than there was; and when all jobs have ended, each one
 * that was counted as submitted, or as revived, is counted as ended, as it
 * ended.
 */
#include <string.h>

#include "broker/base/meters.h"
#include "t/simulation/metered.h"

#define ROWS (QUEUES + 1)
#define ALL  QUEUES /* the row of the sums */

typedef struct {
    bool there;
    uint64_t counts[SPAWN_COUNTS];
    uint64_t ended[SPAWN_METER_OUTCOMES];
    uint64_t refused[SPAWN_METER_REASONS];
    uint64_t started; /* in the histogram of waiting */
    uint64_t now;     /* running, waiting, delayed */
} row;

static row rows[ROWS], before[ROWS];
static bool asked, lost, in_a_turn;
static bool refused; /* by a store that was not open yet: no number is told */
/* Since it was lost; and of these, when the answer was asked for. */
static uint64_t told[QUEUES][SPAWN_METER_REASONS];
static uint64_t told_then[QUEUES][SPAWN_METER_REASONS];

void metered_reset(void)
{
    memset(rows, 0, sizeof(rows));
    memset(before, 0, sizeof(before));
    memset(told, 0, sizeof(told));
    memset(told_then, 0, sizeof(told_then));
    asked = lost = in_a_turn = refused = false;
}

void metered_lost(void)
{
    memset(before, 0, sizeof(before));
    memset(told, 0, sizeof(told));
    memset(told_then, 0, sizeof(told_then));
    lost = true;
}

void metered_in_a_turn(void)
{
    in_a_turn = true;
}

void metered_refused(unsigned queue, unsigned code)
{
    if (code < SPAWN_METER_REASONS)
        told[queue][code]++;
}

/* ---- an answer ---- */

bool metered_is_asked(void)
{
    return asked;
}

void metered_unanswered(void)
{
    asked = false;
}

void metered_asked(void)
{
    asked = true;
    refused = false;
    memset(rows, 0, sizeof(rows));
    memcpy(told_then, told, sizeof(told));
}

static void read_all(const spawn_message *m, unsigned attr, uint64_t *ret,
                     unsigned room)
{
    const spawn_attr *a = &m->attr[attr];
    unsigned i, count = spawn_has(m, attr) ? spawn_u64v_count(a) : 0;

    for (i = 0; i < count && i < room; i++)
        ret[i] = spawn_u64v_at(a, i);
}

/* The second number, and each second one from then on. */
static uint64_t count_of(const spawn_message *m, unsigned attr)
{
    const spawn_attr *a = &m->attr[attr];
    unsigned i, count = spawn_has(m, attr) ? spawn_u64v_count(a) : 0;
    uint64_t sum = 0;

    for (i = 1; i < count; i += 2)
        sum += spawn_u64v_at(a, i);
    return sum;
}

static row *row_of(const spawn_message *m)
{
    unsigned i;

    if (!spawn_has(m, SPAWN_A_QUEUE))
        return &rows[ALL];
    for (i = 0; i < QUEUES; i++) {
        if (strcmp(spawn_str_or(m, SPAWN_A_QUEUE, ""), queue_names[i]) == 0)
            return &rows[i];
    }
    return NULL;
}

static void take_row(const spawn_message *m)
{
    row *it = row_of(m);

    if (!it)
        return; /* refused, of no queue of ours */
    if (it->there)
        promise_broken("the numbers of a queue are told twice");
    it->there = true;
    read_all(m, SPAWN_A_COUNTS, it->counts, SPAWN_COUNTS);
    read_all(m, SPAWN_A_OUTCOMES, it->ended, SPAWN_METER_OUTCOMES);
    read_all(m, SPAWN_A_REFUSALS, it->refused, SPAWN_METER_REASONS);
    it->started = count_of(m, SPAWN_A_WAITED);
    it->now = spawn_u64_or(m, SPAWN_A_RUNNING, 0)
              + spawn_u64_or(m, SPAWN_A_WAITING, 0)
              + spawn_u64_or(m, SPAWN_A_DELAYED, 0);
}

/* ---- is it true? ---- */

static const char *name_of(unsigned i)
{
    return i == ALL ? "all queues" : queue_names[i];
}

static uint64_t sum(const uint64_t *of, unsigned count)
{
    uint64_t all = 0;

    while (count-- > 0)
        all += of[count];
    return all;
}

static bool fell(const uint64_t *now, const uint64_t *was, unsigned count)
{
    while (count-- > 0) {
        if (now[count] < was[count])
            return true;
    }
    return false;
}

static void check_growth(unsigned i)
{
    const row *r = &rows[i], *b = &before[i];

    if (fell(r->counts, b->counts, SPAWN_COUNTS)
        || fell(r->ended, b->ended, SPAWN_METER_OUTCOMES)
        || fell(r->refused, b->refused, SPAWN_METER_REASONS)
        || r->started < b->started)
        promise_broken("a number of %s has gone back", name_of(i));
}

/* Each is counted twice, in two moments. */
static void check_sums(void)
{
    row all = {.there = true};
    unsigned i, k;

    for (i = 0; i < QUEUES; i++) {
        for (k = 0; k < SPAWN_COUNTS; k++)
            all.counts[k] += rows[i].counts[k];
        for (k = 0; k < SPAWN_METER_OUTCOMES; k++)
            all.ended[k] += rows[i].ended[k];
        for (k = 0; k < SPAWN_METER_REASONS; k++)
            all.refused[k] += rows[i].refused[k];
        all.started += rows[i].started;
    }
    if (memcmp(all.counts, rows[ALL].counts, sizeof(all.counts)) != 0
        || memcmp(all.ended, rows[ALL].ended, sizeof(all.ended)) != 0
        || memcmp(all.refused, rows[ALL].refused, sizeof(all.refused)) != 0
        || all.started != rows[ALL].started)
        promise_broken("a number of all queues is not the sum of theirs");
}

/* The true counts, as the world knows. */
typedef struct {
    uint64_t jobs, launches, revives;
} world_count;

static world_count count_world(unsigned queue)
{
    world_count c = {0, 0, 0};
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];

        if (queue != ALL && j->queue != queue)
            continue;
        c.jobs++;
        c.launches += j->launches + (j->given_by != 0);
        c.revives += j->revives_asked;
    }
    return c;
}

static void check_most(unsigned i)
{
    const world_count c = count_world(i);
    const row *r = &rows[i];

    if (r->counts[SPAWN_COUNT_SUBMITTED] > c.jobs)
        promise_broken("%llu jobs of %s are counted as submitted, of %llu",
                       (unsigned long long)r->counts[SPAWN_COUNT_SUBMITTED],
                       name_of(i), (unsigned long long)c.jobs);
    if (r->counts[SPAWN_COUNT_REVIVED] > c.revives)
        promise_broken("%llu jobs of %s are counted as revived, of %llu",
                       (unsigned long long)r->counts[SPAWN_COUNT_REVIVED],
                       name_of(i), (unsigned long long)c.revives);
    if (sum(r->ended, SPAWN_METER_OUTCOMES) > c.jobs + c.revives)
        promise_broken("more jobs of %s have ended than there were",
                       name_of(i));
    if (r->counts[SPAWN_COUNT_FAILED] > sum(r->ended, SPAWN_METER_OUTCOMES)
                                            - r->ended[SPAWN_OUTCOME_CANCELLED])
        promise_broken("more jobs of %s have failed than have ended",
                       name_of(i));
}

/* A refusal is counted before it is told. */
static void check_refusals(unsigned queue)
{
    if (fell(rows[queue].refused, told_then[queue], SPAWN_METER_REASONS))
        promise_broken("a refusal by queue %s is not counted",
                       queue_names[queue]);
}

static void take_end(void)
{
    unsigned i;

    for (i = 0; i < ROWS && !broken; i++) {
        if (!rows[i].there)
            return; /* it counts nothing yet */
        check_growth(i);
        check_most(i);
    }
    if (!in_a_turn)
        check_sums();
    for (i = 0; i < QUEUES; i++)
        check_refusals(i);
    memcpy(before, rows, sizeof(before));
}

void metered_judge(const spawn_message *m)
{
    if (m->header.type == SPAWN_M_METER) {
        take_row(m);
        return;
    }
    asked = false;
    if (m->header.type == SPAWN_M_END)
        take_end();
    else if (m->header.type != SPAWN_M_REFUSED || store_calm)
        promise_broken("the broker's numbers are not told");
    else
        refused = true;
}

/* ---- all have ended ---- */

static uint64_t count_ended(unsigned queue, unsigned outcome)
{
    uint64_t count = 0;
    unsigned i;

    for (i = 0; i < jobs_used; i++)
        count += jobs[i].queue == queue && jobs[i].done
                 && jobs[i].outcome == outcome;
    return count;
}

/* Attempts that another one has followed; maybe: one that is cancelled or
 * expires, and did run, may have waited to be tried again. */
static uint64_t count_retries(unsigned queue, bool maybe)
{
    uint64_t count = 0;
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];

        if (j->queue != queue || j->launches == 0)
            continue;
        count += j->attempt - 1;
        count += maybe && j->retry
                 && (j->outcome == SPAWN_OUTCOME_CANCELLED
                     || j->outcome == SPAWN_OUTCOME_EXPIRED);
    }
    return count;
}

/* Nobody was killed, nothing has failed, and no job was revived: the world
 * knows how each has ended. */
static void check_each(unsigned queue)
{
    const row *r = &rows[queue];
    unsigned i;

    for (i = 0; i < SPAWN_METER_OUTCOMES; i++) {
        if (r->ended[i] != count_ended(queue, i))
            promise_broken("%llu jobs of queue %s are counted as %s, and %llu "
                           "have ended so",
                           (unsigned long long)r->ended[i], queue_names[queue],
                           spawn_outcome_name(i),
                           (unsigned long long)count_ended(queue, i));
    }
    if (r->counts[SPAWN_COUNT_RETRIED] < count_retries(queue, false)
        || r->counts[SPAWN_COUNT_RETRIED] > count_retries(queue, true))
        promise_broken("%llu attempts of queue %s are counted as followed by "
                       "another one, and %llu were",
                       (unsigned long long)r->counts[SPAWN_COUNT_RETRIED],
                       queue_names[queue],
                       (unsigned long long)count_retries(queue, false));
}

/* Nobody knows whether it has ended, nor asks. */
static bool some_unsure(unsigned queue)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (jobs[i].unsure && jobs[i].queue == queue)
            return true;
    }
    return false;
}

void metered_check(void)
{
    unsigned i;

    for (i = 0; i < QUEUES && !broken && !refused; i++) {
        const row *r = &rows[i];
        uint64_t came = r->counts[SPAWN_COUNT_SUBMITTED]
                        + r->counts[SPAWN_COUNT_REVIVED],
                 ended = sum(r->ended, SPAWN_METER_OUTCOMES);

        if (!r->there)
            promise_broken("the numbers of queue %s are not told",
                           queue_names[i]);
        else if (some_unsure(i))
            continue;
        else if (r->now)
            promise_broken("all jobs of queue %s have ended, and %llu are said "
                           "to wait or run",
                           queue_names[i], (unsigned long long)r->now);
        else if (!lost && !in_a_turn && ended != came)
            promise_broken("%llu jobs of queue %s are counted as submitted or "
                           "revived, and %llu as ended",
                           (unsigned long long)came, queue_names[i],
                           (unsigned long long)ended);
        if (!broken && calm && count_world(i).revives == 0)
            check_each(i);
    }
}
