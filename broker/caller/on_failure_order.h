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

/** The id of the job that follows from the failure of this one. */
void spawn_on_failure_id(const spawn_id *failed, spawn_id *ret);

#endif
