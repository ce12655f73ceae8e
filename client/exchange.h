/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file exchange.h
 * @brief A request and its answer, over whatever connection there is.
 *
 * Runs in callers, in any thread. Not part of the caller's contract (that is
 * spawn_client.h).
 */
#ifndef SPAWN_EXCHANGE_H
#define SPAWN_EXCHANGE_H

#include "client/pool.h"

typedef struct {
    spawn_client *client;
    spawn_writer *w;
    const int *fds;
    unsigned fds_count;
    int64_t deadline;
    /* Called before each sending but the first, to bring the message up to
     * date; may be NULL. */
    void (*again)(void *arg);
    void *arg;
    /* Where an answer is received; NULL: a place of its own. */
    spawn_answer *room;
    bool look; /* more() uses an answer at once, and keeps nothing of it */
    bool sent; /* the broker may have it */
    bool sent_before; /* so might one before the broker that has answered */
    /* An event that ends the wait for the answer; NULL: nothing. */
    const spawn_beside *beside;
    /* A job that may go to a worker directly (direct.h); NULL: none. */
    const spawn_message *direct;
    bool lost;       /* it may have been taken by this worker: */
    spawn_id worker; /* the broker is to be told */
} spawn_exchange;

/**
 * Send, and receive the answer. A connection that breaks is replaced and the
 * request sent again until the deadline. REFUSED is an answer like another.
 *
 * @return 0 with *ret; -ETIMEDOUT when late, -ECANCELED when what is beside it
 * has come (why is not filled then); another
 * negative errno with why filled. x->sent says whether the request may have
 * arrived.
 */
int spawn_exchange_run(spawn_exchange *x, spawn_answer *ret,
                       spawn_failure *why);

/**
 * The same for a request that is answered by many messages.
 * @param more called with each; takes the answer over. Returns 1 when more will
 * come, 0 when it was the last, or a negative errno, which is returned.
 * @param start called before each sending: forget what came before.
 */
int spawn_exchange_many(spawn_exchange *x, int (*more)(void *, spawn_answer *),
                        void (*start)(void *), void *arg, spawn_failure *why);

/** A start for those who keep nothing. */
void spawn_exchange_nothing(void *arg);

/** Change the number that an attribute of w has, in place. a is of a message
 * that was parsed from w. */
void spawn_rewrite_u64(spawn_writer *w, const spawn_attr *a, uint64_t value);

#endif
