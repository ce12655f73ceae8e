/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs whose moment comes. Runs in the broker, once a turn. Starts no job:
 * schedule.c does.
 *
 * One timer is set for all of them. It counts by a clock that neither is set
 * nor goes on while the machine sleeps: so the kernel tells of both.
 */
#include "broker/run/when.h"

#include <stdlib.h>
#include <time.h>

#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/base/loop.h"
#include "broker/base/moments.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/unique.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"

#define LONGEST      3600000 /* ms without a look */
#define UNTOLD       10000   /* the same where the kernel tells nothing */
#define LOOK_AGAIN   1000    /* ms, at jobs that cannot be stored now */
#define LOOKS_A_TURN 1000    /* so that others get their turn */

static spawn_timer timer;
static spawn_watch steps; /* of the clock */
static bool told;         /* of steps, by the kernel */
static bool some_kept;    /* jobs whose moment has come */
static bool all_seen;     /* all jobs whose moment had come */
static unsigned left;     /* so many may end in this turn */

static void come(spawn_timer *t)
{
    (void)t; /* the end of this turn looks for due jobs */
}

static void stepped(spawn_watch *w, int events)
{
    (void)events;
    spawn_os_clock_steps_again(w->fd);
}

static void begin(void)
{
    int fd;

    if (timer.fire)
        return;
    timer.fire = come;
    fd = spawn_os_clock_steps();
    told = fd >= 0 && spawn_watch_open(&steps, fd, SPAWN_IN, stepped) == 0;
}

/* Callers that wait for the job are told of this end; if there are none, the
 * log has it. */
static void expire(spawn_job *job)
{
    const spawn_moment *m = &job->rules->expires;
    spawn_end *end = spawn_end_job(job, SPAWN_OUTCOME_EXPIRED);
    const char *what = job->attempt > 1 ? "its next attempt" : "it";
    time_t seconds = (time_t)(m->wall / 1000);
    char text[32];
    struct tm tm;

    if (m->boot)
        spawn_end_say(end, "%s had not started within %.6g s of its submit",
                      what, (double)(m->wall - job->submitted_at) / 1000);
    else if (gmtime_r(&seconds, &tm)
             && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
        spawn_end_say(end, "%s had not started by %s", what, text);
}

bool spawn_when_expires(spawn_job *job)
{
    if (!spawn_job_expired(job))
        return false;
    if (left == 0) {
        spawn_loop_again();
        return true;
    }
    left--;
    expire(job);
    return true;
}

/* A job that its slot keeps, and the store does not take now, would be back in
 * its queue at the end of the turn. One that only the ledger may know more of
 * waits for that. */
static bool has_come(spawn_moment *m)
{
    spawn_job *job;

    if (m->what == SPAWN_RULE_KEY) {
        spawn_key_over(m);
        return true;
    }
    job = spawn_rules_job(m);
    if (spawn_job_kept(job) || spawn_durable_undecided(job))
        return false;
    if (spawn_job_expired(job)) {
        left--;
        spawn_moment_wait(m); /* it ends as one that waits */
        expire(job);
    }
    else if (m->what == SPAWN_RULE_DUE) {
        spawn_queue_due(job);
    }
    else { /* the clock was set back since */
        spawn_moment_wait(m);
    }
    return true;
}

void spawn_when_look(void)
{
    static spawn_moment **kept;
    static size_t room;
    size_t used = 0, i;
    unsigned looks = LOOKS_A_TURN;
    spawn_moment *m;

    left = LOOKS_A_TURN;
    while (looks > 0 && (m = spawn_moment_come()) != NULL) {
        looks--;
        if (has_come(m))
            continue;
        kept = spawn_array_grow(kept, used, &room, sizeof(spawn_moment *));
        kept[used++] = m;
    }
    for (i = 0; i < used; i++)
        spawn_moment_wait(kept[i]);
    some_kept = used > 0;
    all_seen = looks > 0;
}

/* Jobs that are kept are few, and do not keep the others waiting. */
static int64_t next_look(void)
{
    int64_t next = spawn_moments_next(), after;

    if (next != 0 || !some_kept || !all_seen)
        return next;
    after = spawn_moments_after();
    return after >= 0 && after < LOOK_AGAIN ? after : LOOK_AGAIN;
}

void spawn_when_wait(void)
{
    int64_t next = next_look();

    if (next < 0) {
        spawn_timer_clear(&timer);
        return;
    }
    begin();
    if (next > LONGEST)
        next = LONGEST;
    if (next > UNTOLD && !told)
        next = UNTOLD;
    spawn_timer_set(&timer, spawn_mono_ms() + next);
}
