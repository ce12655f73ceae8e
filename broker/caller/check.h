/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file check.h
 * @brief May a job that has come be taken?
 */
#ifndef SPAWN_BROKER_CALLER_CHECK_H
#define SPAWN_BROKER_CALLER_CHECK_H

#include "common/spawn_error.h"
#include "broker/caller/incoming.h"

/** By its id's time, its queue with its limits and workers, its template, its
 * handles, and the ledger. 0, or -1 with why filled. */
int spawn_incoming_check(const spawn_incoming *in, spawn_failure *why);

/** The same of what may have run already: by its id's time, and its queue,
 * which has to be there. */
int spawn_incoming_may_be(const spawn_incoming *in, spawn_failure *why);

/** May a job with this id, which is not known, be a new one? Else it may have
 * run, or no clock has made the id. 0, or -1 with why filled. */
int spawn_check_time(spawn_store *store, const spawn_id *id,
                     spawn_failure *why);

/** Would this peer wait for itself if it waited for the job? It is the job, or
 * the only worker that can run it. 0, or -1 with why filled. */
int spawn_check_wait(const spawn_peer *peer, const spawn_job *job,
                     spawn_failure *why);

/** Does its queue take no jobs, since it is drained? 0, or -1 with why filled.
 */
int spawn_incoming_drained(const spawn_incoming *in, spawn_failure *why);

#endif
