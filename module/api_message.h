/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file api_message.h
 * @brief The SUBMIT message of a job that another module describes.
 *
 * Runs in httpd children, in the thread that has the job.
 */
#ifndef SPAWN_API_MESSAGE_H
#define SPAWN_API_MESSAGE_H

#include "module/api_job.h"

/**
 * Write the message. Faults of its size stay in w, which client/ looks at.
 * @param w initialised; freed by the caller.
 * @param queue that it runs in, and need not name.
 * @param with_request with the context of the request that the job was made
 * for, beside what was set.
 * @param fds room for SPAWN_JOB_FDS_MAX: the descriptors that go with it.
 * @return how many these are.
 */
unsigned spawn_api_message(const spawn_job *job, const char *queue,
                           spawn_until until, bool with_request,
                           spawn_writer *w, int *fds);

#endif
