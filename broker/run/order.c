/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effects of one job's end on other jobs. Runs in the broker. Must act on
 * an end only when the store has it: a broker that comes anew would find
 * another one.
 */
#include "broker/run/order.h"

#include <signal.h>
#include <stdio.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/base/array.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/end.h"
#include "broker/job/needs.h"
#include "broker/job/unique.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"

/* The event of a job that has effects on others. */
typedef enum {
    STORED,   /* its needs are looked at */
    REPLACED, /* by another one, which is stored */
    ENDED,    /* so does the store say */
    UNDONE,   /* it never was */
    DOUBTFUL  /* it is to be so when the ledger has forgotten it; or it comes
               * from the spool again */
} order_event;

typedef struct {
    spawn_id id;
    spawn_id by; /* it is replaced */
    spawn_batch *batch;
    order_event event;
} happened;

static happened *news;
static size_t news_used, news_room;

#define LOOK_AGAIN  1000 /* ms */
#define ENDS_A_TURN 1000 /* so that others get their turn */

static spawn_timer again;
static bool unread;   /* some of them could not be followed */
static unsigned left; /* so many may end in this turn */
static size_t doubts; /* DOUBTFUL ones in news */

static happened *note(const spawn_job *job, order_event event)
{
    news = spawn_array_grow(news, news_used, &news_room, sizeof(*news));
    news[news_used] =
        (happened){.id = job->id, .batch = job->batch, .event = event};
    doubts += event == DOUBTFUL;
    spawn_loop_again();
    return &news[news_used++];
}

/* As long as it was not, it could not end. */
static void stored_at_last(const spawn_job *job)
{
    if (job->claim && job->claim->taken)
        note(job, REPLACED)->by = job->claim->by;
    if (job->needs && job->needs->open)
        (void)note(job, STORED);
}

/* One that has ended meanwhile may come back, when the store does not take
 * that. */
static void take_replaced(const spawn_job *by)
{
    spawn_claim *c = spawn_claim_replaced(by, NULL);

    for (; c; c = spawn_claim_replaced(by, c)) {
        if (c->taken || c->job->state != SPAWN_STATE_QUEUED)
            continue;
        c->taken = true;
        c->job->cancel = SIGTERM; /* as the store has it */
        note(c->job, REPLACED)->by = by->id;
    }
}

void spawn_order_stored(const spawn_job *job)
{
    if (job->state == SPAWN_STATE_QUEUED)
        stored_at_last(job);
    if (job->claim)
        take_replaced(job);
}

/* One that was to be revived, and is not, has ended as the store says. */
void spawn_order_gone(spawn_job *job)
{
    bool never_was = job->state != SPAWN_STATE_DONE && !job->in_store;

    if (spawn_need_of(&job->id, NULL))
        (void)note(job, !never_was                           ? ENDED
                        : job->forgets_first || job->spooled ? DOUBTFUL
                                                             : UNDONE);
    spawn_needs_drop(job);
    spawn_claim_drop(job);
}

void spawn_order_forgotten(const spawn_id *id)
{
    size_t i;

    for (i = 0; i < news_used; i++) {
        if (news[i].event != DOUBTFUL || !spawn_id_equal(&news[i].id, id))
            continue;
        news[i].event = UNDONE;
        doubts--;
        spawn_loop_again();
    }
}

static bool in_doubt(const spawn_id *id)
{
    size_t i;

    for (i = 0; doubts && i < news_used; i++) {
        if (news[i].event == DOUBTFUL && spawn_id_equal(&news[i].id, id))
            return true;
    }
    return false;
}

/* One that the store did not take would be back in its queue at the end of the
 * turn. It ends when it is stored; one that only the ledger may know more of
 * when that is read. */
static bool can_end(const spawn_job *job)
{
    return job && job->state == SPAWN_STATE_QUEUED && !spawn_job_kept(job)
           && !spawn_durable_undecided(job);
}

static void end_replaced(spawn_job *job, const spawn_id *by)
{
    char text[SPAWN_ID_TEXT];

    if (can_end(job))
        spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_CANCELLED),
                      SPAWN_REPLACED_BY, spawn_id_format(by, text));
}

/* ---- jobs that come after others ---- */

static void say_end(const spawn_known_end *e, char *text, size_t room)
{
    if (e->died)
        (void)snprintf(text, room, "threw an exception");
    else if (e->outcome == SPAWN_OUTCOME_EXITED)
        (void)snprintf(text, room, "ended with exit code %d", e->exit_code);
    else if (e->outcome == SPAWN_OUTCOME_SIGNALLED)
        (void)snprintf(text, room, "was ended by signal %d", e->signo);
    else if (e->outcome == SPAWN_OUTCOME_OUT_OF_MEMORY)
        (void)snprintf(text, room, "was killed for want of memory");
    else
        (void)snprintf(text, room, "has ended as %s",
                       spawn_outcome_name(e->outcome));
}

static void cancel(spawn_job *job, const spawn_id *other, const char *how)
{
    char id[SPAWN_ID_TEXT];

    if (!can_end(job))
        return;
    left -= left > 0;
    spawn_end_say(spawn_end_job(job, SPAWN_OUTCOME_CANCELLED),
                  "job %s, which it comes after, %s",
                  spawn_id_format(other, id), how);
}

static void decide(spawn_need *n, bool good, const char *how)
{
    spawn_job *job = n->of->job;

    if (!good && n->of->when_failed == SPAWN_AFTER_FAILED_KEEP)
        return;
    if (!good && n->of->when_failed != SPAWN_AFTER_FAILED_RUN) {
        cancel(job, &n->id, how);
        return;
    }
    spawn_need_over(n);
    if (job->in_store)
        spawn_job_changed_soon(job);
}

/* How a job has ended, as the store has it. */
typedef struct {
    bool good;
    char how[120];
} seen_end;

/* 1; 0: it has not ended; -1: it cannot be read. */
static int see_end(spawn_store *store, const spawn_id *id, seen_end *ret)
{
    spawn_known_end e = {.good = false};
    int rv = spawn_store_outcome(store, id, &e);

    if (rv < 0 || (rv == 1 && !e.done))
        return rv < 0 ? -1 : 0;
    if (rv == 0 && spawn_durable_unread())
        return 0; /* the ledger may know it */
    ret->good = e.good;
    if (rv == 1)
        say_end(&e, ret->how, sizeof(ret->how));
    else
        (void)snprintf(ret->how, sizeof(ret->how), "is not known any more");
    return 1;
}

int spawn_order_look(spawn_job *job)
{
    spawn_needs *needs = job->needs;
    seen_end end;
    unsigned i;
    int rv;

    for (i = 0; needs && i < needs->count; i++) {
        spawn_need *n = &needs->need[i];

        if (!n->open || spawn_job_find(&n->id) || in_doubt(&n->id))
            continue;
        rv = see_end(job->batch->store, &n->id, &end);
        if (rv < 0)
            return -1;
        if (rv > 0)
            decide(n, end.good, end.how);
    }
    return 0;
}

/* The store is asked once, however many come after it. 1: some are left for the
 * next turn, in which those that have ended now are gone. */
static int tell_needs(const happened *h)
{
    seen_end end = {.how = "was not taken: it could not be stored"};
    spawn_need *n = spawn_need_of(&h->id, NULL), *next;
    int rv = 1;

    if (n && h->event == ENDED)
        rv = see_end(h->batch->store, &h->id, &end);
    for (; rv > 0 && n && left > 0; n = next) {
        next = spawn_need_of(&h->id, n);
        decide(n, end.good, end.how);
    }
    if (rv > 0 && n)
        return 1;
    return rv < 0 ? -1 : 0;
}

/* 0; 1: not all of it; -1: the store cannot be read now. */
static int follow(const happened *h)
{
    spawn_job *job = spawn_job_find(&h->id);

    switch (h->event) {
    case REPLACED:
        end_replaced(job, &h->by);
        return 0;
    case STORED:
        return job ? spawn_order_look(job) : 0;
    default:
        return tell_needs(h);
    }
}

static void look_again(spawn_timer *t)
{
    (void)t; /* it is followed at the end of this turn */
}

/* It was not before; and it is tried again, not in each turn. */
static void wait_for_store(const happened *h)
{
    char id[SPAWN_ID_TEXT];

    if (!unread)
        spawn_log_few(
            "all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
            MSNO(0868) "how job %s ended cannot be read in the store; "
                       "jobs that come after it wait until that can be "
                       "read",
            spawn_id_format(&h->id, id));
    unread = true;
    again.fire = look_again;
    spawn_timer_set(&again, spawn_mono_ms() + LOOK_AGAIN);
}

void spawn_order_follow(void)
{
    size_t kept = 0, i;
    bool bad = false;

    left = ENDS_A_TURN;
    for (i = 0; i < news_used; i++) {
        const happened h = news[i];
        int rv;

        if (h.event == DOUBTFUL) {
            if (spawn_job_find(&h.id)) /* it has come again */
                doubts--;
            else
                news[kept++] = h;
            continue;
        }
        rv = follow(&h);
        if (rv)
            news[kept++] = h;
        if (rv > 0)
            spawn_loop_again();
        else if (rv < 0 && !bad)
            wait_for_store(&h);
        bad = bad || rv < 0;
    }
    news_used = kept;
    if (!bad)
        unread = false;
}

void spawn_order_look_again(void)
{
    spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->claim && job->claim->taken)
            note(job, REPLACED)->by = job->claim->by;
        if (job->needs && spawn_order_look(job))
            (void)note(job, STORED);
    }
}

void spawn_order_settle(void)
{
    spawn_order_look_again();
    spawn_keys_settle();
}
