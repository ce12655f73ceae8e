/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file access.h
 * @brief SpawnAccess: which accounts may come over the callers' socket, and
 * what each may.
 *
 * Root, httpd's User and the broker's own account may all. A child of httpd
 * that only the secret lets in may submit, see and kill. Others may what is
 * said of them and of their groups: in a queue that says something, that alone;
 * else what stands outside of the queues.
 */
#ifndef SPAWN_BROKER_CALLER_ACCESS_H
#define SPAWN_BROKER_CALLER_ACCESS_H

#include "broker/caller/connection.h"

/** A CONFIGURE is read: nothing is said yet. */
void spawn_access_begin(void);
/** An ACCESS of CONFIGURE. -1: it cannot be read, why filled. */
int spawn_access_rule(const spawn_attr *nest, spawn_failure *why);

/** All is said: what each caller may that is there is looked up anew, with the
 * groups that it had when it connected. */
void spawn_access_end(void);

/** What may this caller, by its account and groups? Before all that follows.
 * @param fd of its connection. */
void spawn_access_look(spawn_peer *peer, int fd);

/** Is this caller, or a group of it, given any right? */
bool spawn_access_knows(const spawn_peer *peer);

/** Can there be something that it may not? */
bool spawn_access_limits(const spawn_peer *peer);

/** Has it this right (one SPAWN_MAY_) for the jobs of a queue? */
bool spawn_access_has(const spawn_peer *peer, const char *queue,
                      unsigned right);

/** May it see the jobs of a queue? For a spawn_list_filter. */
bool spawn_access_sees(const void *peer, const char *queue);

/**
 * The same as spawn_access_has.
 * @param queue NULL: any queue.
 * @return 0; -1: why names the account and what it may not do; the log does,
 * too.
 */
int spawn_access_check(const spawn_peer *peer, const char *queue,
                       unsigned right, spawn_failure *why);

/** The same where the caller has not named the queue: the answer names it only
 * if it may see there, and else has these words. */
int spawn_access_check_of(const spawn_peer *peer, const char *queue,
                          unsigned right, const char *words,
                          spawn_failure *why);

/** Put the rules that count in a queue, those outside of it among them when it
 * has none itself, as far as there is room. */
void spawn_access_put_row(const spawn_queue *q, spawn_writer *w);

/** A queue of httpd.conf; NULL: there is none of this name, and why names those
 * in which the caller has a right.
 * @param peer NULL: it was posted or spooled. */
const spawn_queue *spawn_access_queue(const spawn_peer *peer, const char *name,
                                      spawn_failure *why);

/** The same for the queue of a job. One that is not known: any queue. */
int spawn_access_check_job(const spawn_peer *peer, const spawn_id *id,
                           unsigned right, spawn_failure *why);

/** May a submit of this caller have to do with a job that is known: the same
 * one, or one that it comes after? The queue of that job counts, whatever the
 * submit names. 0 when it may see there; or submit there, and it is its own. */
int spawn_access_check_known(const spawn_peer *peer, const spawn_id *id,
                             spawn_failure *why);

/** The same of a job of this queue that the caller has not named: may it be
 * told its id? */
bool spawn_access_may_know(const spawn_peer *peer, const char *queue,
                           const spawn_id *id);

#endif
