/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file body.h
 * @brief A job's body: the attributes of its submit as they came. They are
 * taken apart when the broker launches the job or tells of it.
 */
#ifndef SPAWN_BROKER_JOB_BODY_H
#define SPAWN_BROKER_JOB_BODY_H

#include "common/spawn_proto.h"
#include "broker/base/logs.h"
#include "broker/job/job.h"

/**
 * Split an order into body, data for stdin and arguments.
 * @return the body, or NULL when there is no memory for it.
 */
spawn_body *spawn_body_new(const void *attrs, size_t length);

/** A body of given sizes, to be filled. NULL when there is no memory. */
spawn_body *spawn_body_room(size_t length, size_t input_length,
                            size_t args_length);

/** Take apart an order. 0 or negative; why filled. */
int spawn_body_read(const spawn_job *job, const spawn_body *body,
                    spawn_message *ret, spawn_failure *why);

/** A job's name in the log, into name[SPAWN_LOGS_NAME]; without its request
 * when body is NULL. Returns name. */
const char *spawn_body_name(const spawn_job *job, const spawn_body *body,
                            char *name);

/** The step that has no descriptor when the handles of an order are gone. */
spawn_step spawn_body_fd_step(const spawn_message *m);

#endif
