/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file end.h
 * @brief How jobs end: by their exit, by a signal of ours, before their start.
 */
#ifndef SPAWN_BROKER_JOB_END_H
#define SPAWN_BROKER_JOB_END_H

#include "broker/job/job.h"

/** Done with this outcome, now; the rest is empty. Returns the end, to be
 * filled further in this turn. */
spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome);

/** Done: could not be started. Text may be NULL. */
void spawn_end_start_failed(spawn_job *job, spawn_step step, int error,
                            const char *text);

/** Done: the spawner's EXITED. */
void spawn_end_exited(spawn_job *job, const spawn_message *m);

/** Put or replace the text for people, printf-style. */
void spawn_end_say(spawn_end *end, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** A job ended so long after its start by this wait status: was it at its
 * time-out, by a broker that was killed before it could note that? Then it is
 * noted. Before spawn_end_status. */
void spawn_end_overdue(spawn_job *job, int status, int64_t elapsed_us);

/** Fill an end from a wait status, with what we had done to the job. */
void spawn_end_status(const spawn_job *job, spawn_end *end, int status);

/** What EXITED says in words, for the log. */
void spawn_end_describe(const spawn_message *m, char *text, size_t room);

/** Take RUSAGE from EXITED or RETURNED, when it is there. */
void spawn_end_usage(spawn_end *end, const spawn_message *m);

/** Signal a job that runs (or was ordered): by the spawner, or, when it is not
 * the spawner's child, by its pidfd. left: SPAWN_LEFT_. */
void spawn_end_signal(spawn_job *job, int signo, unsigned left);

/** KILL, and a look later whether it has done anything. */
void spawn_end_kill(spawn_job *job);

/** TERM now, KILL after its grace. */
void spawn_end_terminate(spawn_job *job, bool timed_out);

/** Its order is out. When nothing is heard of it soon, the spawner is asked for
 * its process: its time-out counts from there. */
void spawn_end_ordered(spawn_job *job);

/** Its process is there (or it runs): arm its time-out. elapsed_ms: for how
 * long already. */
void spawn_end_arm(spawn_job *job, int64_t elapsed_ms);

#endif
