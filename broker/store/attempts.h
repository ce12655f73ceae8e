/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file attempts.h
 * @brief Records of the attempts at a job before the present one.
 */
#ifndef SPAWN_BROKER_STORE_ATTEMPTS_H
#define SPAWN_BROKER_STORE_ATTEMPTS_H

#include "broker/job/job.h"
#include "broker/job/perl.h"

/** Write the record of the attempt that has ended, in the transaction of its
 * job's row. result: NULL, or what its function gave. 0 or -1. */
int spawn_store_attempt(spawn_store *store, const spawn_job *job,
                        const spawn_returned *result);

/** A job that is dead is tried again, as its row says then: what the row and
 * its outputs say of its last attempt becomes a record. 0 or -1. */
int spawn_store_revive(spawn_store *store, const spawn_job *job);

/** Put the records of a job into a JOB message, the first one first. */
void spawn_store_put_attempts(spawn_store *store, int64_t seq, bool with_output,
                              spawn_writer *w);

#endif
