/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a job could not be started, in a sentence. Part of the broker.
 */
#ifndef SPAWN_BROKER_RUN_START_TEXT_H
#define SPAWN_BROKER_RUN_START_TEXT_H

#include "broker/job/job.h"

/** The system's error at a step of its start, and the path that it is about.
 * Call before the job has ended: the text is made from its order. */
void spawn_start_text(const spawn_job *job, spawn_step step, int error,
                      char *text, size_t room);

#endif
