/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file retry.h
 * @brief Further attempts at jobs that ended badly.
 *
 * An attempt that is to be followed by another one ends as a job does, with
 * `again` set. The commit of the turn writes a record of it, and its job as
 * waiting; only then does the spawner forget it, and the job wait. So a broker
 * that comes after a killed one finds the end at the spawner, and decides the
 * same, or finds the record.
 */
#ifndef SPAWN_BROKER_RUN_RETRY_H
#define SPAWN_BROKER_RUN_RETRY_H

#include "broker/job/job.h"

/** It may have ended: is it to be tried again, or dead? Decided once, when all
 * is known of the end, and before anybody is told of it. */
void spawn_retry_judge(spawn_job *job);

/** It has ended for good, as a broker before us decided: is it dead? */
void spawn_retry_judged(spawn_job *job);

/** Has it failed for good? Of one that was judged. Not when somebody ended it,
 * nor when it has expired. */
bool spawn_retry_failed(spawn_job *job);

/** How many retries its order asks for. Reads it in the store. */
unsigned spawn_retry_given(const spawn_job *job);

/** The end of this attempt is the job's, although there are retries left: the
 * store does not take the record of an attempt that it never heard of, or
 * somebody ends the job. */
void spawn_retry_give_up(spawn_job *job);

/** The record of its attempt is stored, and the spawner was told to forget it:
 * the job waits until it is due. */
void spawn_retry_begin(spawn_job *job);

#endif
