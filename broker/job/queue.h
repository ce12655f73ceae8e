/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue.h
 * @brief Queues: their rules, and the jobs that wait in them.
 */
#ifndef SPAWN_BROKER_JOB_QUEUE_H
#define SPAWN_BROKER_JOB_QUEUE_H

#include "broker/base/meters.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/job/template.h"

/** Jobs that wait for the same thing: programs, or the Perl jobs of one
 * template that want the code of one configuration; and of one priority, so
 * that a job is put in at the end. So jobs whose template is not ready keep no
 * other jobs waiting. An empty one is used again for other jobs. */
typedef struct spawn_lane spawn_lane;
struct spawn_lane {
    spawn_lane *next;
    spawn_template *template; /* NULL: programs */
    bool pooled;              /* the queue's workers serve them */
    bool durable;             /* they wait for the ledger, too */
    bool away;                /* other hosts run them: share.h */
    int8_t priority;
    int64_t since; /* what they want of their template's code: perl.h */
    unsigned count;
    spawn_job *head, *tail; /* in the order of their submits */
    spawn_job *last_in; /* one near to which the next may belong; NULL: empty */
};

typedef struct spawn_defaults spawn_defaults; /* defaults.h */
typedef struct spawn_allowed spawn_allowed;   /* allowed.h */

/** Most jobs at once of all queues: the spawner has room for some more. */
#define SPAWN_QUEUE_SCALE_MAX 100000

/** Changes that somebody made by hand (spawnctl), until they are undone: they
 * outlive brokers in the store. */
typedef struct {
    uint8_t mode;    /* SPAWN_QUEUE_PAUSED, _DRAINING: bits */
    uint64_t scale;  /* in the place of SpawnMaxJobs; 0: not */
    int64_t changed; /* wall ms of the last change */
    int64_t uid;     /* of the caller that made it */
} spawn_queue_control;

struct spawn_queue {
    spawn_queue *next;
    char name[SPAWN_NAME_MAX + 1];
    struct spawn_account *account; /* of its jobs; NULL: httpd's User */
    uint64_t max_jobs;             /* that counts now */
    uint64_t told_max;             /* SpawnMaxJobs */
    uint64_t max_queued;
    uint64_t max_delayed;
    uint64_t timeout_ms; /* 0: none */
    uint64_t grace_ms;
    spawn_defaults *defaults; /* of its jobs; NULL: none */
    spawn_allowed *allowed;   /* jobs that it takes; NULL: any */
    uint64_t history_jobs; /* ended ones that are kept; UINT64_MAX: no limit */
    int64_t history_ms;    /* 0: any age */
    spawn_queue_control control;
    bool configured;   /* false: its jobs stay stored and do not start */
    bool fresh;        /* seen in the CONFIGURE that is being applied */
    unsigned members;  /* jobs that point at it */
    unsigned busy;     /* starting or running, here */
    unsigned away;     /* the same of jobs that other hosts run */
    int64_t room_told; /* places that the relay knows of; -1: none yet */
    bool shared;       /* other hosts run its jobs, too: share.h */
    unsigned queued;
    unsigned delayed; /* queued in no lane: their time has not come */
    unsigned came;    /* queued in a lane: their time has come */
    unsigned blocked; /* in no lane: other jobs come first */
    int64_t oldest; /* wall ms: since then one waits; 0: none does. Only while a
                     * question is answered (caller/queue_request.c) */
    spawn_template *template; /* of Perl jobs that name none */
    spawn_lane *lanes;
    spawn_pool *pool;   /* its workers, or NULL */
    spawn_meter *meter; /* its numbers; NULL: it has none */
};

/** The rules of SpawnWorkers and its companions. max 0: the queue has no
 * workers. */
typedef struct {
    unsigned min, max;
    uint64_t calls;  /* after so many a worker is replaced; 0: no limit */
    uint64_t memory; /* bytes resident; 0: no limit */
    int64_t idle_ms; /* then workers over min leave */
} spawn_pool_rules;

/** The workers of a queue: run/pool.h. */
struct spawn_pool {
    spawn_queue *queue;
    spawn_worker *workers; /* process/worker.h, by pool_next */
    unsigned min, max;
    uint64_t calls;
    uint64_t memory;
    int64_t idle_ms;
    uint32_t rules; /* spawn_worker_rules of now */
    unsigned alive; /* all but those that leave */
    unsigned idle;
    unsigned coming;
    unsigned lent;           /* they may run a call: run/lease.h */
    int64_t lend_not_before; /* mono ms */
    unsigned failures;       /* in a row */
    char *failure; /* why no worker gets ready, while that is so; else NULL */
    spawn_timer retry;
    spawn_timer idle_timer;
};

/** The queue of that name, configured or not; or NULL. */
spawn_queue *spawn_queue_find(const char *name);
/** All of them, one after another; NULL: the first. */
spawn_queue *spawn_queue_next(const spawn_queue *q);
/** May a text name this queue? */
typedef bool (*spawn_queue_shown)(const void *who, const char *queue);

/** A queue of httpd.conf; NULL: there is none of this name, and why names the
 * others that are shown; shown NULL: all. */
const spawn_queue *spawn_queue_known(const char *name, spawn_queue_shown shown,
                                     const void *who, spawn_failure *why);
/** The same as find, but made when it is not there. */
spawn_queue *spawn_queue_get(const char *name);

/** New rules: begin, one rule for each queue, end (which warns of queues that
 * have been removed and still have jobs). */
void spawn_queue_rules_begin(void);
spawn_queue *spawn_queue_rule(const char *name, uint64_t max_jobs,
                              uint64_t max_queued, uint64_t timeout_ms,
                              const char *template);
void spawn_queue_rules_end(void);
/** Warn of queues that are not configured and have waiting jobs. */
void spawn_queues_warn(void);

/** Count from now on (base/meters.h). */
void spawn_queues_count_from_now(void);
/** A submit was refused. name: of any queue, known or not. */
void spawn_queue_refused(const char *name, spawn_error reason);
/** For how long it has waited for its turn: since its submit, the time for
 * which it had to wait, or the end of the attempt before. A broker that finds
 * it in the store adds the time that it had waited before. */
int64_t spawn_queue_waited_ms(const spawn_job *job);
void spawn_queue_has_waited(spawn_job *job, int64_t ms);

/** Make the job a member of the queue of that name, which is made when it is
 * not there (and goes with its last member unless configured). */
void spawn_queue_join(spawn_job *job, const char *name);
/** Called when a job is freed. */
void spawn_queue_leave(spawn_job *job);

/** Why a job cannot start that is queued, and due: bits. */
enum {
    SPAWN_BLOCKED_BY_KEY = 1,  /* another one has its key: unique.h */
    SPAWN_BLOCKED_BY_JOBS = 2, /* it comes after others: needs.h */
    SPAWN_BLOCKED_FOR_GOOD = 4 /* it is about to end */
};

/** It cannot start, whatever its state is. */
void spawn_queue_block(spawn_job *job, unsigned why);
/** For this reason it can; when that was the last one it has its place. */
void spawn_queue_unblock(spawn_job *job, unsigned why);

/* ---- for state.c, which alone calls these ---- */

/** Into its lane, or among the delayed. back: to the place that it had, else
 * behind all others of its priority. */
void spawn_queue_put_in(spawn_job *job, bool back);
/** Has it waited, or does it? One that was refused never did. */
static inline bool spawn_queue_was_in(const spawn_job *job)
{
    return job->place != 0;
}
/** A durable job is on the disk, or the ledger is read: out of no lane, into
 * its own. */
void spawn_queue_let_in(spawn_job *job);
/** The same of one that was taken for durable, and is not. */
void spawn_queue_not_durable(spawn_job *job);
/** It waits, from now on until this time of day; 0: for no time. */
void spawn_queue_wait_until(spawn_job *job, int64_t wall);
/** Out of there. */
void spawn_queue_take_out(spawn_job *job);
/** Count it among the busy jobs when it starts or runs: by 1 or -1. */
void spawn_queue_count(const spawn_job *job, int by);

/** Change it by hand. One that is not there is made, and stays while something
 * of it is changed. */
void spawn_queue_change(spawn_queue *q, const spawn_queue_control *to);
static inline bool spawn_queue_changed(const spawn_queue *q)
{
    return q->control.mode != SPAWN_QUEUE_OPEN || q->control.scale;
}
static inline bool spawn_queue_paused(const spawn_queue *q)
{
    return (q->control.mode & SPAWN_QUEUE_PAUSED) != 0;
}
static inline bool spawn_queue_drained(const spawn_queue *q)
{
    return (q->control.mode & SPAWN_QUEUE_DRAINING) != 0;
}
/** Say in the log which are changed by hand, so that it is not forgotten. */
void spawn_queues_tell_changed(void);

/** No more may start: as many run as may, or it is paused. A worker that is
 * lent runs a call, or may. */
static inline bool spawn_queue_taken(const spawn_queue *q)
{
    return spawn_queue_paused(q)
           || q->busy + (q->pool ? q->pool->lent : 0) >= q->max_jobs;
}

/** The moment before which it must not start has come: behind all others. */
void spawn_queue_due(spawn_job *job);

/** True when one more job can neither start at once nor wait. */
bool spawn_queue_full(const spawn_queue *q);
/** True when no more may wait for their time. Those whose time has come count
 * until they start: else a short delay would be a way past both limits. */
bool spawn_queue_full_of_delayed(const spawn_queue *q);
/** Neither full nor drained. delayed: for a job that waits for its time. */
bool spawn_queue_has_room(const spawn_queue *q, bool delayed);

/**
 * Take time-out and grace from an order into the job.
 * @param m the order, taken apart.
 */
void spawn_queue_limits(spawn_job *job, const spawn_message *m);

#endif
