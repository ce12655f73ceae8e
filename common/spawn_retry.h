/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_retry.h
 * @brief When a job that ended badly is tried again, and how long it waits
 * before that: the rules as they stand in its order.
 *
 * Runs in the broker, which decides, and in callers, which have to know how
 * long a wait can take. Allocates nothing.
 */
#ifndef SPAWN_RETRY_H
#define SPAWN_RETRY_H

#include "common/spawn_proto.h"
#include "common/spawn_rule.h"

#define SPAWN_RETRY_MAX 100 /* attempts after the first */

/** How an attempt ended. */
typedef struct {
    spawn_outcome outcome;
    int exit_code; /* -1: none */
    bool returned; /* a function has: what came after it does not count */
} spawn_attempt_end;

/** Is it a good end? */
bool spawn_attempt_good(const spawn_attempt_end *end);

/** Does this end call for another attempt, as far as RETRY_ON says? Never a
 * good one, nor one that somebody wanted. */
bool spawn_retry_applies(const spawn_message *order,
                         const spawn_attempt_end *end);

/** How often it may be tried again: RETRY, 0 when there is none, or a bad one.
 */
unsigned spawn_retry_most(const spawn_message *order);

/** How many of them are left after this attempt, the first being 1. */
unsigned spawn_retry_left(const spawn_message *order, unsigned attempt);

/**
 * How long to wait before the next attempt, ms.
 * @param failed how many attempts have failed, from 1 on.
 * @param random any bits: of an exponential back-off a random part of up to a
 * half is left out, so that jobs that failed together do not come together
 * again.
 */
uint64_t spawn_retry_delay(const spawn_message *order, unsigned failed,
                           uint64_t random);

/** The longest that all its waits together can take, ms. */
uint64_t spawn_retry_delays(const spawn_message *order);

/** Do RETRY, BACKOFF and RETRY_ON, whose numbers are good (spawn_rule.h), and
 * the job go together? 0, or -1 with why. */
int spawn_retry_check(const spawn_message *order, spawn_failure *why);

#endif
