/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file end.h
 * @brief How jobs end: by their exit, by a signal of ours, before their start.
 */
#ifndef SPAWN_BROKER_RUN_END_H
#define SPAWN_BROKER_RUN_END_H

#include "broker/job/job.h"

/** Done with this outcome, now; the rest is empty. Returns the end, to be
 * filled further in this turn. */
spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome);

/** Done: could not be started. Text may be NULL. */
void spawn_end_start_failed(spawn_job *job, spawn_step step, int error,
                            const char *text);

/** Done: the spawner's EXITED. */
void spawn_end_exited(spawn_job *job, const spawn_message *m);

/** Signal a job that runs (or was ordered): by the spawner, or, when it is not
 * the spawner's child, by its pidfd. left: SPAWN_LEFT_. */
void spawn_end_signal(spawn_job *job, int signo, unsigned left);

/** KILL, and a look later whether it has done anything. */
void spawn_end_kill(spawn_job *job);

/** TERM now, KILL after its grace. */
void spawn_end_terminate(spawn_job *job, bool timed_out);

/** A broker before this one was to do that: KILL is due then, and TERM is sent
 * again, for it may have been killed in between. */
void spawn_end_terminate_again(spawn_job *job, int64_t kill_at);

/** Its order is out. When nothing is heard of it soon, the spawner is asked for
 * its process: its time-out counts from there. */
void spawn_end_ordered(spawn_job *job);

/** Its process is there (or it runs): arm its time-out. elapsed_ms: for how
 * long already. */
void spawn_end_arm(spawn_job *job, int64_t elapsed_ms);

/** It runs (or is being started): when the broker lingers and is to kill, it is
 * terminated. */
void spawn_end_at_stop(spawn_job *job);

/** Its parent has gone, and this broker is not told of its end: follow it by
 * its process. False: that is not there any more. */
bool spawn_end_follow(spawn_job *job);

/** ORPHANED: the spawner is not (or no longer) told of its end. Follow it, or
 * end it when it is not there any more. */
void spawn_end_orphaned(spawn_job *job, const spawn_message *m);

#endif
