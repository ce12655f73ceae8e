/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl.h
 * @brief A Perl function's job beside its data: its template, the order that
 * flies to it, and its board.
 */
#ifndef SPAWN_BROKER_PROCESS_PERL_H
#define SPAWN_BROKER_PROCESS_PERL_H

#include "common/spawn_board.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"

/** Make it a Perl job. It is a member of its queue already. named: the
 * template that it named itself, or NULL. */
void spawn_perl_make(spawn_job *job, const char *named);

/** All that an attempt at it has left is gone. It is settled and has no worker.
 */
void spawn_perl_renew(spawn_job *job);

/** Called before a job is freed, which is settled and has no worker. */
void spawn_perl_drop(spawn_job *job);

/** It becomes starting: its order is on the way from now on. */
void spawn_perl_order(spawn_job *job);
/** RUNNING told that its order is on the way to this process of its template.
 */
void spawn_perl_ordered(spawn_job *job, const spawn_id *process);
/** Its order is answered. Does nothing for a program. */
void spawn_perl_settled(spawn_job *job, bool forked);

/** The contents of a board, checked and taken from it. Heap, never NULL; free
 * its data, too. */
spawn_returned *spawn_returned_take(int board);

/* ---- its board; nothing is done for a program ---- */

/** A new one. The descriptor, which stays the job's, or a negative errno. */
int spawn_perl_board(spawn_job *job);
/** Go on with the one that the spawner kept; owns fd. */
void spawn_perl_adopt_board(spawn_job *job, int fd);
/** It has ended, and is answered before it is stored: take what its own process
 * has returned from its board. */
void spawn_perl_take_result(spawn_job *job);

/** It ended before a power cut, and only the kind of its result is known. */
void spawn_perl_lost_result(spawn_job *job, int kind);

void spawn_perl_close_board(spawn_job *job);
/** A bell for the job to ring when it has returned: the descriptor, which stays
 * the broker's, or a negative errno. function: for the answer. */
int spawn_perl_bell(spawn_job *job, const char *function);
/** It has returned what a caller can have, whether its process has ended or
 * not. */
bool spawn_perl_has_returned(const spawn_job *job);

/** Tell the job that it is to end. */
void spawn_perl_cancelled(const spawn_job *job);
/** Its last progress; false: it told none. Nothing is told of a job before its
 * start is known, and its pid with it: a job can write to its board sooner. */
bool spawn_perl_progress(const spawn_job *job, spawn_progress *ret);

#endif
