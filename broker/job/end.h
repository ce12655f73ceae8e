/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file end.h
 * @brief A job's end as data, and the words for it.
 */
#ifndef SPAWN_BROKER_JOB_END_H
#define SPAWN_BROKER_JOB_END_H

#include "broker/job/job.h"

/** Put or replace the text for people, printf-style. */
void spawn_end_say(spawn_end *end, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Say that a job was cancelled because of the connection that it is bound to,
 * if it was. */
void spawn_end_say_unbound(const spawn_job *job, spawn_end *end);

/** Note that a job was ended by its time-out when its wait status and run time
 * say so: a broker that was killed could not note it. Call before
 * spawn_end_status. */
void spawn_end_overdue(spawn_job *job, int status, int64_t elapsed_us);

/** Fill an end from a wait status, from what we had done to the job, and from
 * how many processes of its cgroup the kernel has killed for want of memory. */
void spawn_end_status(const spawn_job *job, spawn_end *end, int status,
                      uint64_t oom_kills);

/** So many, of EXITED; 0: none, or it does not tell. */
uint64_t spawn_end_oom_kills(const spawn_message *m);

/** It has not ended after all. */
void spawn_end_drop(spawn_job *job);

/** The words of EXITED, for the log. certain: whoever the kernel has killed for
 * want of memory, it can be only the end that is told. */
void spawn_end_describe(const spawn_message *m, bool certain, char *text,
                        size_t room);

/** Take RUSAGE from EXITED or RETURNED, when it is there. */
void spawn_end_usage(spawn_end *end, const spawn_message *m);

#endif
