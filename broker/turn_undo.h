/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file turn_undo.h
 * @brief A turn ends: jobs that the store or the ledger did not take.
 */
#ifndef SPAWN_BROKER_TURN_UNDO_H
#define SPAWN_BROKER_TURN_UNDO_H

#include "broker/job/job.h"

/** May its end wait, as one that the commit did not take? Not when it would be
 * refused then, or left out of the history. */
bool spawn_turn_may_wait(const spawn_job *job);

/** The commit did not take these, linked by due_next. */
void spawn_turn_undo_all(spawn_job *list);

/** It was to start in this turn, or was cancelled while it waited: back to its
 * place in the queue. */
void spawn_turn_unlaunch(spawn_job *job);

/** Events of run/durable.h: the ledger did not take it, */
void spawn_turn_refused(spawn_job *job, const spawn_failure *why);
/** or perhaps has it, and is to forget it. */
void spawn_turn_refused_later(spawn_job *job, const spawn_failure *why);

/** It is stored with its end, or never was stored; its handles have been
 * released. */
void spawn_turn_let_go(spawn_job *job);

#endif
