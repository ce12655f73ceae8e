/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file defaults.h
 * @brief The values that a queue gives to jobs that bring none, and the most
 * that a job may ask for: SpawnGrace, SpawnNice, SpawnLimit and their like.
 * docs/queues.md says what each means.
 *
 * A job has the rules of the moment in which it starts.
 */
#ifndef SPAWN_BROKER_JOB_DEFAULTS_H
#define SPAWN_BROKER_JOB_DEFAULTS_H

#include "common/spawn_proto.h"
#include "broker/job/queue.h"

/** Attributes of a queue that has some; in memory of its own. */
struct spawn_defaults {
    spawn_attr env, limits; /* id 0: not set, as in spawn_message */
    spawn_attr cwd, nice, ionice, leftovers, out, err;
    spawn_attr on_failure, on_failure_argv;
    uint8_t data[]; /* the attributes point here */
};

/** CONFIGURE is read anew: no queue has any, until it is said. */
void spawn_defaults_begin(void);
/** A QUEUE_DEFAULTS of CONFIGURE. -1: it cannot be read, why filled. */
int spawn_defaults_rule(const spawn_attr *nest, spawn_failure *why);

/** The variables of a queue (NULL: of templates), or NULL. */
const spawn_attr *spawn_defaults_env(const spawn_queue *q);

/**
 * Give an order what it does not say. Not its variables and limits, which are
 * put together with the queue's when they are sent.
 */
void spawn_defaults_fill(const spawn_queue *q, spawn_message *order);

/** What is called when a job of this queue has failed: ON_FAILURE or
 * ON_FAILURE_ARGV; NULL: nothing. */
const spawn_attr *spawn_defaults_on_failure(const spawn_queue *q);

/** The output of a function, unless it says otherwise: SPAWN_STDIO_NULL, _LOG
 * or _PATH. */
spawn_stdio_how spawn_defaults_output(const spawn_queue *q, unsigned attr);

/** -1: the order asks for more than the queue lets it have; why names both. */
int spawn_defaults_allow(const spawn_queue *q, const spawn_message *order,
                         spawn_failure *why);

/**
 * Put LIMITS: of the order (NULL: of a worker) and the queue, of each the lower
 * one.
 * @return how many of the order's are lower now than it asked for.
 */
unsigned spawn_defaults_put_limits(const spawn_queue *q,
                                   const spawn_message *order, spawn_writer *w);

/** Put what a worker has of its queue, but its variables. log: the descriptor
 * of its order that leads to the error log. */
void spawn_defaults_put_worker(const spawn_queue *q, uint16_t log,
                               spawn_writer *w);

/** Put them for people: of variables only their names, since values may be
 * secret; "!" before one that is taken away. */
void spawn_defaults_put_row(const spawn_queue *q, spawn_writer *w);

#endif
