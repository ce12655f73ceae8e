/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file submitted.h
 * @brief A submit whose answer is taken later.
 *
 * Runs in callers. A submit is its thread's, and no other thread may look at it
 * or free it. The connection that it was sent over stays the client's, and
 * serves other requests of this thread meanwhile: answers are known by their
 * numbers, and whatever receives one notes it. Other threads take no connection
 * that owes an answer. When the connection breaks before, the job is submitted
 * again with the same id, so that it runs once.
 *
 * A forked child neither asks nor waits: the answer is its parent's.
 */
#ifndef SPAWN_SUBMITTED_H
#define SPAWN_SUBMITTED_H

#include "client/spawn_client.h"

typedef struct spawn_submitted spawn_submitted;

/**
 * Send the job that stands in w, a finished SUBMIT message with reply accepted.
 * @param w taken over, when it was sent.
 * @param fds descriptors of the job, stay the caller's; duplicates are kept
 * until the answer is there.
 * @return 0 with *ret; 1: it was not sent in this way, submit it; -1 with why
 * filled: it is wrong, and was not sent.
 */
int spawn_client_send(spawn_client *client, spawn_writer *w, const int *fds,
                      unsigned fds_count, spawn_submitted **ret,
                      spawn_failure *why);

/**
 * Take what has come.
 * @param wait for the answer, for SpawnSubmitTimeout. Without it only
 * the death of a broker is waited for, for as long: until the next one is
 * there.
 * @return 1: accepted; 0: no answer yet; -1 with why filled, as of
 * spawn_client_submit, now and each time; in another thread NOT_PERMITTED.
 */
int spawn_submitted_look(spawn_submitted *s, bool wait, spawn_failure *why);

/** A duplicate of the connection's descriptor, which can be read from when an
 * answer comes; -1: there is nothing to wait for. */
int spawn_submitted_fd(const spawn_submitted *s);

/** For how many more milliseconds the answer is waited for. */
int64_t spawn_submitted_left(const spawn_submitted *s);

/** Look, and wait, for all of this thread. */
void spawn_submitted_look_at_all(void);

/** Free one that was answered; another one's answer is not waited for. In
 * another thread it is left to its own. */
void spawn_submitted_free(spawn_submitted *s);

#endif
