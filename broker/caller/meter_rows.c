/* SPDX-License-Identifier: Apache-2.0 */
/*
 * METERS: the numbers of the broker (base/meters.h), a row for each queue that
 * the caller may see. Runs in the broker, on checked messages. Must tell no sum
 * of queues to somebody who may not see all of them.
 */
#include "broker/caller/meter_rows.h"

#include <string.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/base/alloc.h"
#include "broker/base/meters.h"
#include "broker/job/queue.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"
#include "broker/caller/queue_request.h"

typedef struct {
    spawn_writer w;
    uint32_t seq;
    spawn_row *rows, **last;
} listing;

/* ---- rows ---- */

static void begin_row(listing *l)
{
    spawn_writer_init(&l->w, spawn_message_max(SPAWN_M_METER));
    spawn_writer_begin(&l->w, SPAWN_M_METER, l->seq);
}

static void end_row(listing *l)
{
    spawn_row *row;

    if (spawn_writer_finish(&l->w, 0) == 0) {
        row = spawn_alloc(sizeof(*row) + l->w.length);
        row->length = l->w.length;
        memcpy(row->data, l->w.data, l->w.length);
        *l->last = row;
        l->last = &row->next;
    }
    spawn_writer_free(&l->w);
}

static void put_times(spawn_writer *w, uint16_t attr, const spawn_histogram *h,
                      const spawn_bounds *bounds)
{
    uint64_t told[SPAWN_HISTOGRAM_TOLD];

    spawn_put_u64v(w, attr, told, spawn_histogram_tell(h, bounds, told));
}

static void put_hour(spawn_writer *w, uint16_t attr, const spawn_hour *r,
                     int64_t minute)
{
    spawn_histogram h;

    spawn_hour_sum(r, minute, &h);
    put_times(w, attr, &h, &spawn_job_bounds);
}

static void put_meter(spawn_writer *w, const spawn_meter *m)
{
    const uint64_t counts[SPAWN_COUNTS] = {[SPAWN_COUNT_SUBMITTED] =
                                               m->submitted,
                                           [SPAWN_COUNT_FAILED] = m->failed,
                                           [SPAWN_COUNT_RETRIED] = m->retried,
                                           [SPAWN_COUNT_REVIVED] = m->revived,
                                           [SPAWN_COUNT_DEAD] = m->dead};
    uint64_t minutes[2 * SPAWN_MINUTES];
    int64_t now = spawn_mono_ms() / SPAWN_MINUTE_MS;

    spawn_minutes_tell(&m->minutes, now, minutes);
    spawn_put_u64v(w, SPAWN_A_COUNTS, counts, SPAWN_COUNTS);
    spawn_put_u64v(w, SPAWN_A_OUTCOMES, m->ended, SPAWN_METER_OUTCOMES);
    spawn_put_u64v(w, SPAWN_A_REFUSALS, m->refused, SPAWN_METER_REASONS);
    put_times(w, SPAWN_A_WAITED, &m->waited, &spawn_job_bounds);
    put_times(w, SPAWN_A_RAN, &m->ran, &spawn_job_bounds);
    put_hour(w, SPAWN_A_WAITED_HOUR, &m->waited_hour, now);
    put_hour(w, SPAWN_A_RAN_HOUR, &m->ran_hour, now);
    spawn_put_u64v(w, SPAWN_A_MINUTES, minutes, 2 * SPAWN_MINUTES);
}

static void put_pair(spawn_writer *w, const spawn_meters *all)
{
    const pid_t spawner = getppid();
    const uint64_t pair[SPAWN_PAIR_NUMBERS] = {
        [SPAWN_PAIR_BROKER_PID] = (uint64_t)getpid(),
        [SPAWN_PAIR_BROKER_MEMORY] = spawn_os_resident(getpid()),
        [SPAWN_PAIR_BROKER_SINCE] = (uint64_t)all->broker_since,
        [SPAWN_PAIR_BROKERS] = all->brokers,
        [SPAWN_PAIR_SPAWNER_PID] = (uint64_t)spawner,
        [SPAWN_PAIR_SPAWNER_MEMORY] = spawn_os_resident(spawner),
        [SPAWN_PAIR_SPAWNER_SINCE] = (uint64_t)all->spawner_since,
        [SPAWN_PAIR_SPAWNERS] = all->spawners,
        [SPAWN_PAIR_SINCE] = (uint64_t)all->since};

    spawn_put_u64v(w, SPAWN_A_PAIR, pair, SPAWN_PAIR_NUMBERS);
    put_times(w, SPAWN_A_COMMITS, &all->commits, &spawn_commit_bounds);
}

static void whole_row(listing *l, const spawn_meters *all, bool sums)
{
    begin_row(l);
    put_pair(&l->w, all);
    if (sums)
        put_meter(&l->w, &all->whole);
    end_row(l);
    if (!sums)
        return;
    begin_row(l);
    spawn_put_str(&l->w, SPAWN_A_QUEUE, "");
    spawn_put_u64v(&l->w, SPAWN_A_REFUSALS, all->elsewhere,
                   SPAWN_METER_REASONS);
    end_row(l);
}

static void queue_row(listing *l, const spawn_queue *q)
{
    unsigned lent = q->pool ? q->pool->lent : 0;

    begin_row(l);
    spawn_put_str(&l->w, SPAWN_A_QUEUE, q->name);
    spawn_put_u64(&l->w, SPAWN_A_MAX_JOBS, q->max_jobs);
    spawn_put_u64(&l->w, SPAWN_A_RUNNING, q->busy + lent);
    spawn_put_u64(&l->w, SPAWN_A_WAITING, q->queued + q->blocked);
    spawn_put_u64(&l->w, SPAWN_A_DELAYED, q->delayed);
    spawn_put_u64(&l->w, SPAWN_A_QUEUE_MODE, q->control.mode);
    if (q->oldest && q->queued + q->blocked > 0)
        spawn_put_u64(&l->w, SPAWN_A_OLDEST_AT, (uint64_t)q->oldest);
    if (!q->configured)
        spawn_put_u64(&l->w, SPAWN_A_REMOVED, 1);
    if (q->meter)
        put_meter(&l->w, q->meter);
    end_row(l);
}

/* ---- the request ---- */

/* Which queue was asked for; NULL: all. */
static int which(const spawn_peer *peer, const spawn_message *m,
                 const spawn_queue **ret, spawn_failure *why)
{
    const char *name = spawn_str_or(m, SPAWN_A_QUEUE, "");

    *ret = NULL;
    if (!*name)
        return 0;
    *ret = spawn_access_queue(peer, name, why);
    return *ret ? 0 : -1;
}

void spawn_request_meters(spawn_peer *peer, const spawn_message *m,
                          spawn_packet *p, const spawn_id *id)
{
    const spawn_meters *all = spawn_meters_told();
    listing l = {.seq = m->header.seq};
    const spawn_queue *one, *q = NULL;
    spawn_failure why;
    spawn_ask *a;

    (void)p;
    (void)id;
    l.last = &l.rows;
    if (which(peer, m, &one, &why)) {
        spawn_peer_refuse(peer, m->header.seq, NULL, &why);
        return;
    }
    spawn_queues_find_oldest();
    if (all)
        whole_row(&l, all, !spawn_access_limits(peer));
    while ((q = spawn_queue_next(q))) {
        if (one ? q == one
                : spawn_queue_is_told(q)
                      && spawn_access_has(peer, q->name, SPAWN_MAY_SEE))
            queue_row(&l, q);
    }
    a = spawn_alloc(sizeof(*a));
    a->seq = m->header.seq;
    a->rows_there = true;
    a->told = l.rows;
    spawn_peer_ask(peer, a);
}
