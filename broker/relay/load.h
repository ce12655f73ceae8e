/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file load.h
 * @brief The two messages that travel between brokers, and the CARRY that gives
 * them to the relay.
 */
#ifndef SPAWN_BROKER_RELAY_LOAD_H
#define SPAWN_BROKER_RELAY_LOAD_H

#include "broker/job/job.h"

/** Send the order of a job to the hosts of its queue. 0; -1: it cannot be read,
 * and why says so. */
int spawn_load_send_job(const spawn_job *job, const spawn_body *body,
                        spawn_failure *why);

/** Write the SUBMIT of a SHARED_JOB that has come into w. 0 or -1. */
int spawn_load_submit(const uint8_t *attrs, size_t length, spawn_writer *w);

/**
 * Send news of a job to its origin.
 * @param answer a finished JOB message.
 * @param state what it tells.
 */
void spawn_load_send_news(const spawn_id *id, unsigned attempt,
                          const char *origin, unsigned state,
                          const spawn_writer *answer);

#endif
