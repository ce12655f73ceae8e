/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the changes of queues by hand. A change that was asked for,
 * and is not answered, may count or not; so may all of them after a power cut,
 * until one is answered, whose row says how the queue is.
 */
#include "t/simulation/controls.h"

#include <string.h>

#define PROBATION 2

typedef struct {
    bool sure;              /* it is so: */
    unsigned mode;          /* SPAWN_QUEUE_PAUSED, _DRAINING: bits */
    uint64_t scale;         /* 0: none */
    unsigned asked;         /* changes that are not answered */
    unsigned numbers;       /* of what was asked */
    unsigned probation;     /* answers until it is sure: what got none may lie
                             * in a socket */
    unsigned paused_since;  /* turn since which it is surely so; 0: it is not */
    unsigned drained_since; /* the same */
    unsigned maybe_drained; /* the turn after the last in which it may be */
} known;

static bool some;
static known queues[QUEUES];

void controls_reset(bool any)
{
    unsigned i;

    some = any;
    memset(queues, 0, sizeof(queues));
    for (i = 0; i < QUEUES; i++)
        queues[i].sure = true;
}

/* ---- what is wanted ---- */

bool controls_choose(control_request *ret)
{
    unsigned dice = random_below(100);

    if (!some)
        return false;
    ret->queue = random_below(QUEUES);
    ret->scale = 0;
    if (dice < 20)
        ret->what = SPAWN_QUEUE_PAUSE;
    else if (dice < 40)
        ret->what = SPAWN_QUEUE_UNPAUSE;
    else if (dice < 50)
        ret->what = SPAWN_QUEUE_DRAIN;
    else if (dice < 60)
        ret->what = SPAWN_QUEUE_UNDRAIN;
    else if (dice < 75)
        ret->what = SPAWN_QUEUE_RESUME;
    else if (dice < 85)
        ret->what = SPAWN_QUEUE_LIST;
    else
        ret->what = SPAWN_QUEUE_SCALE;
    if (ret->what == SPAWN_QUEUE_SCALE && chance(70))
        ret->scale = 1 + random_below(4);
    return true;
}

static bool is_undone(const known *q)
{
    return q->sure && q->mode == 0 && q->scale == 0;
}

bool controls_undone(void)
{
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        if (!is_undone(&queues[i]))
            return false;
    }
    return true;
}

bool controls_undo(control_request *ret)
{
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        const known *q = &queues[i];

        if (is_undone(q) || q->asked)
            continue;
        ret->queue = i;
        ret->scale = 0;
        ret->what =
            q->sure && q->mode == 0 ? SPAWN_QUEUE_SCALE : SPAWN_QUEUE_RESUME;
        return true;
    }
    return false;
}

/* ---- what is known ---- */

static void is_unsure(known *q)
{
    q->sure = false;
    q->paused_since = q->drained_since = 0;
    q->maybe_drained = turns + 1;
}

/* Room that there is only while fewer run than once might; and what ran may
 * run on. */
static void widen(limits *l, uint64_t scale)
{
    if (scale > l->most_jobs)
        l->most_jobs = (unsigned)scale;
    l->most += 4;
    if (l->max_queued < l->least_room)
        l->least_room = l->max_queued;
}

void controls_ask(control_request *c)
{
    known *q = &queues[c->queue];

    c->number = ++q->numbers;
    c->alone = q->asked == 0;
    if (c->what == SPAWN_QUEUE_LIST)
        return;
    q->asked++;
    is_unsure(q);
    widen(&queue_limits[c->queue], c->scale);
}

static unsigned mode_of(const control_request *c, unsigned was)
{
    switch (c->what) {
    case SPAWN_QUEUE_PAUSE:
        return was | SPAWN_QUEUE_PAUSED;
    case SPAWN_QUEUE_UNPAUSE:
        return was & ~(unsigned)SPAWN_QUEUE_PAUSED;
    case SPAWN_QUEUE_DRAIN:
        return was | SPAWN_QUEUE_DRAINING;
    case SPAWN_QUEUE_UNDRAIN:
        return was & ~(unsigned)SPAWN_QUEUE_DRAINING;
    case SPAWN_QUEUE_RESUME:
        return 0;
    default:
        return was;
    }
}

static void check_row(const control_request *c, unsigned mode, uint64_t scale)
{
    const known *q = &queues[c->queue];

    if (mode != mode_of(c, mode)
        || (c->what == SPAWN_QUEUE_SCALE && scale != c->scale))
        promise_broken("queue %s is changed, and told as it was before",
                       queue_names[c->queue]);
    else if (q->sure && c->number == q->numbers
             && (mode != q->mode || scale != q->scale))
        promise_broken("queue %s has mode %u and is scaled to %llu, and was "
                       "left with mode %u, scaled to %llu",
                       queue_names[c->queue], mode, (unsigned long long)scale,
                       q->mode, (unsigned long long)q->scale);
}

static void is_sure(known *q, unsigned mode, uint64_t scale)
{
    q->sure = true;
    q->mode = mode;
    q->scale = scale;
    q->paused_since = mode & SPAWN_QUEUE_PAUSED ? turns : 0;
    q->drained_since = mode & SPAWN_QUEUE_DRAINING ? turns : 0;
}

/* Others that were on their way may have been done before it, or after. */
void controls_row(const control_request *c, const spawn_message *m)
{
    known *q = &queues[c->queue];
    unsigned mode = (unsigned)spawn_u64_or(m, SPAWN_A_QUEUE_MODE, 99);
    uint64_t scale = spawn_u64_or(m, SPAWN_A_SCALED_TO, 0);

    check_row(c, mode, scale);
    if (c->what == SPAWN_QUEUE_LIST)
        return;
    q->asked--;
    if (!c->alone || c->number != q->numbers)
        return;
    if (q->probation > 0)
        q->probation--;
    else
        is_sure(q, mode, scale);
}

void controls_refused(const control_request *c)
{
    if (c->what != SPAWN_QUEUE_LIST)
        queues[c->queue].asked--;
}

void controls_lost(const control_request *c)
{
    controls_refused(c);
    if (c->what != SPAWN_QUEUE_LIST)
        queues[c->queue].probation = PROBATION;
}

void controls_lose_power(void)
{
    unsigned i;

    for (i = 0; i < QUEUES && some; i++) {
        is_unsure(&queues[i]);
        queues[i].probation = PROBATION;
    }
}

void controls_turn(void)
{
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        const known *q = &queues[i];

        if (!q->sure || q->mode & SPAWN_QUEUE_DRAINING)
            queues[i].maybe_drained = turns + 1;
    }
}

/* ---- what follows ---- */

bool controls_take_nothing(unsigned queue, unsigned since)
{
    const known *q = &queues[queue];

    return q->drained_since && q->drained_since <= since;
}

bool controls_may_refuse(unsigned queue, unsigned since)
{
    return queues[queue].maybe_drained > since;
}

bool controls_start_nothing(unsigned queue)
{
    const known *q = &queues[queue];

    return q->paused_since && q->paused_since < turns;
}

unsigned controls_most(unsigned queue, unsigned max_jobs)
{
    const known *q = &queues[queue];

    if (!q->sure)
        return queue_limits[queue].most_jobs;
    return q->scale ? (unsigned)q->scale : max_jobs;
}
