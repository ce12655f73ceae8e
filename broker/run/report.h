/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file report.h
 * @brief The lines of the error log about jobs: one for a failure that no
 * caller was told of, and, at LogLevel debug, one for each start and end.
 */
#ifndef SPAWN_BROKER_RUN_REPORT_H
#define SPAWN_BROKER_RUN_REPORT_H

#include "broker/job/job.h"

/** It runs. */
void spawn_report_start(const spawn_job *job);

/** An attempt has ended, the store has its record, and another one follows. */
void spawn_report_attempt(const spawn_job *job);

/** It is done, the store has it (or never will), and the callers that waited
 * were told. Its order is still there, in memory or in the store. */
void spawn_report_end(const spawn_job *job);

/** The store will never have it, or never its end, and this broker is the last
 * that knows. */
void spawn_report_lost(const spawn_job *job);

#endif
