/* SPDX-License-Identifier: Apache-2.0 */
/*
 * METERS: the broker's numbers as plain structs. Runs in callers, on messages
 * that may come from a broker of another release: of lists that are longer or
 * shorter what is known counts. Must believe no length.
 */
#include "client/meters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    spawn_meters_answer *to;
    bool no_memory;
} taking;

/* ---- a row ---- */

static void numbers(const spawn_message *m, unsigned attr, uint64_t *to,
                    unsigned room)
{
    const spawn_attr *a = &m->attr[attr];
    uint32_t i, n = spawn_has(m, attr) ? spawn_u64v_count(a) : 0;

    for (i = 0; i < n && i < room; i++)
        to[i] = spawn_u64v_at(a, i);
}

/* It has how many are in each bucket alone. */
static void times(const spawn_message *m, unsigned attr, spawn_times *t)
{
    const spawn_attr *a = &m->attr[attr];
    uint32_t i, n = spawn_has(m, attr) ? spawn_u64v_count(a) : 0;
    uint64_t over;

    if (n < 2)
        return;
    t->sum_us = spawn_u64v_at(a, 0);
    over = spawn_u64v_at(a, 1);
    for (i = 2; i + 1 < n && t->bounds < SPAWN_TIMES_MAX; i += 2) {
        t->count += spawn_u64v_at(a, i + 1);
        t->of[t->bounds].us = spawn_u64v_at(a, i);
        t->of[t->bounds++].count = t->count;
    }
    for (; i + 1 < n; i += 2)
        over += spawn_u64v_at(a, i + 1);
    t->count += over;
}

static void minutes(const spawn_message *m, spawn_meter_row *row)
{
    const spawn_attr *a = &m->attr[SPAWN_A_MINUTES];
    uint32_t n = spawn_has(m, SPAWN_A_MINUTES) ? spawn_u64v_count(a) / 2 : 0;
    uint32_t i, from = n > SPAWN_TIMES_MINUTES ? n - SPAWN_TIMES_MINUTES : 0;
    uint32_t at = n < SPAWN_TIMES_MINUTES ? SPAWN_TIMES_MINUTES - n : 0;

    for (i = from; i < n; i++, at++) {
        row->minutes[at].ended = spawn_u64v_at(a, 2 * i);
        row->minutes[at].failed = spawn_u64v_at(a, 2 * i + 1);
    }
}

static void take_jobs(const spawn_message *m, spawn_meter_row *row)
{
    row->has_jobs = spawn_has(m, SPAWN_A_COUNTS);
    numbers(m, SPAWN_A_COUNTS, row->counts, SPAWN_COUNTS);
    numbers(m, SPAWN_A_OUTCOMES, row->ended, SPAWN_TIMES_OUTCOMES);
    numbers(m, SPAWN_A_REFUSALS, row->refused, SPAWN_TIMES_REASONS);
    times(m, SPAWN_A_WAITED, &row->waited);
    times(m, SPAWN_A_RAN, &row->ran);
    times(m, SPAWN_A_WAITED_HOUR, &row->waited_hour);
    times(m, SPAWN_A_RAN_HOUR, &row->ran_hour);
    minutes(m, row);
}

static void take_queue(const spawn_message *m, spawn_meter_row *row)
{
    (void)snprintf(row->queue, sizeof(row->queue), "%s",
                   spawn_str_or(m, SPAWN_A_QUEUE, ""));
    row->removed = spawn_u64_or(m, SPAWN_A_REMOVED, 0) != 0;
    row->running = spawn_u64_or(m, SPAWN_A_RUNNING, 0);
    row->waiting = spawn_u64_or(m, SPAWN_A_WAITING, 0);
    row->delayed = spawn_u64_or(m, SPAWN_A_DELAYED, 0);
    row->max_jobs = spawn_u64_or(m, SPAWN_A_MAX_JOBS, 0);
    row->mode = spawn_u64_or(m, SPAWN_A_QUEUE_MODE, 0);
    row->oldest_at = spawn_u64_or(m, SPAWN_A_OLDEST_AT, 0);
    take_jobs(m, row);
}

/* ---- all of them ---- */

static spawn_meter_row *add(spawn_meters_answer *to)
{
    spawn_meter_row *rows;
    unsigned room;

    if (to->count == to->room) {
        room = to->room ? 2 * to->room : 8;
        rows = realloc(to->queues, room * sizeof(*rows));
        if (!rows)
            return NULL;
        to->queues = rows;
        to->room = room;
    }
    rows = &to->queues[to->count++];
    memset(rows, 0, sizeof(*rows));
    return rows;
}

static void take(void *arg, const spawn_message *m)
{
    taking *t = arg;
    spawn_meter_row *row;

    if (m->header.type != SPAWN_M_METER)
        return;
    if (!spawn_has(m, SPAWN_A_QUEUE)) {
        numbers(m, SPAWN_A_PAIR, t->to->pair, SPAWN_PAIR_NUMBERS);
        times(m, SPAWN_A_COMMITS, &t->to->commits);
        take_jobs(m, &t->to->whole);
        return;
    }
    if (!*spawn_attr_str(&m->attr[SPAWN_A_QUEUE])) {
        numbers(m, SPAWN_A_REFUSALS, t->to->elsewhere, SPAWN_TIMES_REASONS);
        return;
    }
    row = add(t->to);
    if (row)
        take_queue(m, row);
    else
        t->no_memory = true;
}

int spawn_client_meters(spawn_client *client, const char *queue,
                        spawn_meters_answer *ret, spawn_failure *why)
{
    uint8_t room[SPAWN_WIRE_HEADER + 128];
    taking t = {.to = ret};
    spawn_writer w;

    memset(ret, 0, sizeof(*ret));
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_METERS, 0);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_rows(client, &w, take, &t, why))
        return -1;
    if (!t.no_memory)
        return 0;
    spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_RECEIVE, ENOMEM,
                      "no memory for the numbers of so many queues");
    return -1;
}

void spawn_meters_free(spawn_meters_answer *answer)
{
    free(answer->queues);
    answer->queues = NULL;
    answer->count = answer->room = 0;
}

uint64_t spawn_meter_ends(const spawn_meter_row *row)
{
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < SPAWN_TIMES_OUTCOMES; i++)
        sum += row->ended[i];
    return sum;
}

void spawn_meter_hour(const spawn_meter_row *row, uint64_t *ret_ended,
                      uint64_t *ret_failed)
{
    unsigned i;

    *ret_ended = *ret_failed = 0;
    for (i = 0; i < SPAWN_TIMES_MINUTES; i++) {
        *ret_ended += row->minutes[i].ended;
        *ret_failed += row->minutes[i].failed;
    }
}

int spawn_times_quantile(const spawn_times *t, unsigned percent, uint64_t *ret)
{
    double wanted = (double)t->count * percent / 100;
    uint64_t from = 0, below = 0;
    unsigned i;

    if (t->count == 0 || t->bounds == 0)
        return 0;
    for (i = 0; i < t->bounds; i++) {
        uint64_t to = t->of[i].us, in = t->of[i].count - below;

        if (in > 0 && (double)t->of[i].count >= wanted) {
            double part = (wanted - (double)below) / (double)in;

            *ret =
                to > from ? from + (uint64_t)((double)(to - from) * part) : to;
            return 1;
        }
        below = t->of[i].count;
        from = to;
    }
    *ret = from;
    return -1;
}
