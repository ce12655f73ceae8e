/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job_message.h
 * @brief The JOB message about a job that is not in the store yet.
 */
#ifndef SPAWN_BROKER_STORE_JOB_MESSAGE_H
#define SPAWN_BROKER_STORE_JOB_MESSAGE_H

#include "common/spawn_board.h"
#include "broker/job/job.h"

/** As spawn_store_answer, from memory: for a job that is unstored
 * (job/changes.h), or whose function has returned while its process has not
 * ended. Returns 1. */
int spawn_answer_job(const spawn_job *job, bool with_output,
                     const uint64_t *from, uint32_t asked, spawn_writer *w);

/** Put what the job has printed until now, of what is captured: at most
 * SPAWN_SO_FAR_MAX bytes of each stream, behind the first from[0] of stdout and
 * from[1] of stderr. */
void spawn_answer_so_far(const spawn_job *job, const uint64_t *from,
                         spawn_writer *w);

/** Put the parts of the order that a JOB has: what runs, label, context; rules:
 * and the rules that it brought. */
void spawn_answer_order(const void *body, size_t length, size_t argv_most,
                        bool rules, spawn_writer *w);

/** PROGRESS. */
void spawn_answer_progress(const spawn_progress *p, spawn_writer *w);

#endif
