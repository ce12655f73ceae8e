/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file on_failure_order.h
 * @brief The order of the job that follows from the failure of another one.
 */
#ifndef SPAWN_BROKER_CALLER_ON_FAILURE_ORDER_H
#define SPAWN_BROKER_CALLER_ON_FAILURE_ORDER_H

#include "broker/job/job.h"

/** The order of that job. False: none is to follow. Free the writer in any
 * case.
 * @param order of the job that has failed. */
bool spawn_on_failure_order(const spawn_job *job, const spawn_message *order,
                            spawn_writer *w);

/** Another id of that job, in the order that was made. Each number from 1 on
 * makes one, and always the same. */
void spawn_on_failure_rename(const spawn_id *failed, unsigned number,
                             uint8_t *data, size_t length, spawn_id *ret);

/** The first id of the job that follows from the failure of this one. */
void spawn_on_failure_id(const spawn_id *failed, spawn_id *ret);

#endif
