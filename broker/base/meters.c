/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the broker. Runs in the broker, in memory that another broker
 * may have had: what is not of this layout is begun anew. Must not grow.
 */
#include "broker/base/meters.h"

#include <stdio.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/base/alloc.h"

/* Of this layout; another one has another number. */
#define MARK UINT64_C(0x7370776e6d747202)

typedef struct {
    uint64_t mark, size;
    spawn_id life;
    uint64_t lefts; /* queues that went */
    spawn_meters told;
    spawn_meter of[SPAWN_METERS_MAX];
} table;

_Static_assert(sizeof(table) <= SPAWN_METERS_ROOM,
               "nothing else lies where the numbers are");

static table *meters;
static bool taken[SPAWN_METERS_MAX]; /* by a queue of this broker */

size_t spawn_meters_size(void)
{
    return sizeof(table);
}

static bool is_ours(const table *t)
{
    size_t i;

    if (t->mark != MARK || t->size != sizeof(*t))
        return false;
    for (i = 0; i < SPAWN_METERS_MAX; i++) {
        if (!memchr(t->of[i].name, '\0', sizeof(t->of[i].name)))
            return false;
    }
    return true;
}

/* The mark is written last. */
static void begin(table *t)
{
    memset(t, 0, sizeof(*t));
    t->size = sizeof(*t);
    t->told.since = spawn_wall_ms();
    __atomic_store_n(&t->mark, MARK, __ATOMIC_RELEASE);
}

void spawn_meters_open(void *room, const spawn_id *life)
{
    spawn_meters *told;

    if (meters)
        return;
    meters = room ? room : spawn_alloc(sizeof(*meters));
    if (!is_ours(meters))
        begin(meters);
    told = &meters->told;
    told->brokers++;
    told->broker_since = spawn_wall_ms();
    if (told->spawners == 0 || !spawn_id_equal(&meters->life, life)) {
        meters->life = *life;
        told->spawner_since = told->broker_since;
        told->spawners++;
    }
}

const spawn_meters *spawn_meters_told(void)
{
    return meters ? &meters->told : NULL;
}

/* ---- queues ---- */

/* An empty place, or that of the queue that went first; -1: all are taken. */
static int place_for_another(void)
{
    int i, best = -1;

    for (i = 0; i < SPAWN_METERS_MAX; i++) {
        if (taken[i])
            continue;
        if (!*meters->of[i].name)
            return i;
        if (best < 0 || meters->of[i].left < meters->of[best].left)
            best = i;
    }
    return best;
}

static int place_of(const char *queue)
{
    int i;

    for (i = 0; i < SPAWN_METERS_MAX; i++) {
        if (!taken[i] && strcmp(meters->of[i].name, queue) == 0)
            return i;
    }
    return -1;
}

bool spawn_meters_has(const char *queue)
{
    return meters && *queue && place_of(queue) >= 0;
}

spawn_meter *spawn_meters_get(const char *queue)
{
    spawn_meter *m;
    int i;

    if (!meters || !*queue)
        return NULL;
    i = place_of(queue);
    if (i < 0) {
        i = place_for_another();
        if (i < 0)
            return NULL;
        m = &meters->of[i];
        memset(m, 0, sizeof(*m));
        (void)snprintf(m->name, sizeof(m->name), "%s", queue);
    }
    taken[i] = true;
    return &meters->of[i];
}

void spawn_meters_leave(spawn_meter *m)
{
    if (!m)
        return;
    m->left = ++meters->lefts;
    taken[m - meters->of] = false;
}

/* ---- to count ---- */

#define COUNT(m, what)                                                         \
    do {                                                                       \
        if (!meters)                                                           \
            return;                                                            \
        meters->told.whole.what++;                                             \
        if (m)                                                                 \
            (m)->what++;                                                       \
    } while (0)

void spawn_meter_submitted(spawn_meter *m)
{
    COUNT(m, submitted);
}

void spawn_meter_refused(spawn_meter *m, unsigned reason)
{
    if (reason >= SPAWN_METER_REASONS)
        reason = SPAWN_E_OK; /* another release's */
    COUNT(m, refused[reason]);
    if (!m)
        meters->told.elsewhere[reason]++;
}

static void started(spawn_meter *m, int64_t waited_us, int64_t minute)
{
    spawn_histogram_add(&m->waited, &spawn_job_bounds, waited_us);
    spawn_hour_add(&m->waited_hour, &spawn_job_bounds, waited_us, minute);
}

void spawn_meter_started(spawn_meter *m, int64_t waited_ms, int64_t minute)
{
    if (!meters)
        return;
    started(&meters->told.whole, waited_ms * 1000, minute);
    if (m)
        started(m, waited_ms * 1000, minute);
}

static void ended(spawn_meter *m, unsigned outcome, bool failed, int64_t ran_us,
                  int64_t minute)
{
    m->ended[outcome < SPAWN_METER_OUTCOMES ? outcome : SPAWN_OUTCOME_NONE]++;
    m->failed += failed;
    if (ran_us >= 0) {
        spawn_histogram_add(&m->ran, &spawn_job_bounds, ran_us);
        spawn_hour_add(&m->ran_hour, &spawn_job_bounds, ran_us, minute);
    }
    spawn_minutes_add(&m->minutes, minute, failed);
}

void spawn_meter_ended(spawn_meter *m, unsigned outcome, bool failed,
                       int64_t ran_us, int64_t minute)
{
    if (!meters)
        return;
    ended(&meters->told.whole, outcome, failed, ran_us, minute);
    if (m)
        ended(m, outcome, failed, ran_us, minute);
}

void spawn_meter_retried(spawn_meter *m)
{
    COUNT(m, retried);
}

void spawn_meter_revived(spawn_meter *m)
{
    COUNT(m, revived);
}

void spawn_meter_dead(spawn_meter *m)
{
    COUNT(m, dead);
}

void spawn_meters_committed(int64_t us)
{
    if (meters)
        spawn_histogram_add(&meters->told.commits, &spawn_commit_bounds, us);
}
