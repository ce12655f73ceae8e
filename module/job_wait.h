/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job_wait.h
 * @brief SpawnJobWait: how long a visitor's request may wait for a change of
 * his job, and how many requests of this httpd may at once.
 *
 * The directive runs in the httpd parent, the rest in its children.
 */
#ifndef SPAWN_JOB_WAIT_H
#define SPAWN_JOB_WAIT_H

#include "module/config.h"

/** The visitors of a request who wait for jobs. */
const spawn_job_waits *spawn_job_waits_of(request_rec *r);

/** How many may wait: as it is set, or a share of what httpd can serve. */
unsigned spawn_job_waits_most(const spawn_job_waits *waits);

#endif
