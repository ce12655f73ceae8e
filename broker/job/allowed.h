/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file allowed.h
 * @brief SpawnAllow: which programs and functions a queue runs.
 *
 * A job is judged when it is submitted and again when it is to start, by the
 * rules of that moment. Its process, and for functions of templates the
 * spawner, judge once more: spawner/allowed.c.
 */
#ifndef SPAWN_BROKER_JOB_ALLOWED_H
#define SPAWN_BROKER_JOB_ALLOWED_H

#include "common/spawn_proto.h"
#include "broker/job/queue.h"

/** The list of a queue that has one; in memory of its own. */
struct spawn_allowed {
    spawn_attr list;
    uint8_t data[];
};

/** CONFIGURE is read anew: no queue has a list, until it is said. */
void spawn_allowed_begin(void);
/** A QUEUE_ALLOW of CONFIGURE. -1: it cannot be read, why filled. */
int spawn_allowed_rule(const spawn_attr *nest, spawn_failure *why);

/**
 * May this job run in the queue? A program is looked up as far as that can be
 * done without waiting for a file system: its process looks again.
 * @param uid of the caller, for the text.
 * @return 0, or -1: why names queue, rule and caller.
 */
int spawn_allowed_check(const spawn_queue *q, const spawn_message *order,
                        long uid, spawn_failure *why);

/** Say so in the log of the job's virtual host. */
void spawn_allowed_log(const spawn_queue *q, const spawn_id *id,
                       const spawn_message *order, const char *text);

/** The one that asked for a job: virtual host, request and client, or the
 * account. */
void spawn_allowed_who(const spawn_message *order, long uid, char *text,
                       size_t room);

/** The list of a queue in one line, as far as there is room. The queue may have
 * lost it since a job's process was refused by it. */
void spawn_allowed_list(const spawn_queue *q, char *text, size_t room);

/** Put the list for people. */
void spawn_allowed_put_row(const spawn_queue *q, spawn_writer *w);

#endif
