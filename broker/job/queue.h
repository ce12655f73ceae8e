/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue.h
 * @brief Queues: their rules, who waits in them, who is next.
 */
#ifndef SPAWN_BROKER_JOB_QUEUE_H
#define SPAWN_BROKER_JOB_QUEUE_H

#include "broker/job/template.h"

/** Who waits for the same thing: programs, or the Perl jobs of one template.
 * So those whose template is not ready keep nobody else waiting. */
typedef struct spawn_lane spawn_lane;
struct spawn_pool;
struct spawn_lane {
    spawn_lane *next;
    spawn_template *template; /* NULL: programs */
    bool pooled;              /* the queue's workers serve them */
    unsigned count;
    spawn_job *head, *tail; /* in the order of their submits */
};

struct spawn_queue {
    spawn_queue *next;
    char name[SPAWN_NAME_MAX + 1];
    uint64_t max_jobs;
    uint64_t max_queued;
    uint64_t timeout_ms; /* 0: none */
    bool configured;     /* false: its jobs stay stored and do not start */
    bool fresh;          /* seen in the CONFIGURE that is being applied */
    unsigned members;    /* jobs that point at it */
    unsigned busy;       /* starting or running */
    unsigned queued;
    spawn_template *template; /* of Perl jobs that name none */
    spawn_lane *lanes;
    struct spawn_pool *pool; /* its workers, or NULL */
};

/** The queue of that name, configured or not, or NULL. */
spawn_queue *spawn_queue_find(const char *name);
/** All of them, one after another; NULL: the first. */
spawn_queue *spawn_queue_next(const spawn_queue *q);
/** The same as find; made when it is not there. */
spawn_queue *spawn_queue_get(const char *name);

/** New rules: begin, one rule for each queue, end (which warns of queues that
 * have gone and still have jobs). */
void spawn_queue_rules_begin(void);
spawn_queue *spawn_queue_rule(const char *name, uint64_t max_jobs,
                              uint64_t max_queued, uint64_t timeout_ms,
                              const char *template);
void spawn_queue_rules_end(void);
/** Warn of queues that are not configured and have waiting jobs. */
void spawn_queues_warn(void);

/** Make the job a member of the queue of that name, which is made when it is
 * not there (and goes with its last member unless configured). */
void spawn_queue_join(spawn_job *job, const char *name);
/** Called when a job is freed. */
void spawn_queue_leave(spawn_job *job);

/** Put the job into the waiting list: state queued.
 * @param back it has been there: to the place that it had, else at the end. */
void spawn_queue_push(spawn_job *job, bool back);

/** True when one more job can neither start at once nor wait. */
bool spawn_queue_full(const spawn_queue *q);

/** Change the state of a job and the counts of its queue with it; takes it
 * out of the waiting list. For all states but queued. */
void spawn_queue_state(spawn_job *job, spawn_state state);

/** Jobs that start now: they become starting, dirty and marked launch. Perl
 * jobs whose template cannot be loaded end. */
void spawn_queue_schedule(void);

#endif
