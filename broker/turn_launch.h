/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file turn_launch.h
 * @brief A turn ends: orders are sent, and what is noted before.
 */
#ifndef SPAWN_BROKER_TURN_LAUNCH_H
#define SPAWN_BROKER_TURN_LAUNCH_H

#include "broker/job/changes.h"
#include "broker/job/job.h"

/** Send its order, if it is to be launched and the ledger has that. The store
 * has it by now. */
void spawn_turn_launch(spawn_job *job);
/** The same of a job of the store that has not this yet: its note says so, or
 * the store is told first. */
void spawn_turn_launch_stored(spawn_job *job);
/** The same of an unstored one (job/changes.h), by its slot, which has its
 * other news too. */
void spawn_turn_unstored_news(spawn_job *job);

/** Its slot, if it has one, says what became of it. Before callers are told: a
 * broker after this one must not tell them something else. */
void spawn_turn_note_news(spawn_job *job);

/** It has ended in a worker, and only that one's ticket has it: so does a slot,
 * but for its result. False: none is free. */
bool spawn_turn_keep_end(spawn_job *job);

/** Orders that could not be sent: their jobs end. When the turn's list is
 * finished, for an end makes its job due again. */
void spawn_turn_end_failed(spawn_batch *batch);

/** The spawner holds no handles of this job any more, nor do we. */
void spawn_turn_release(spawn_job *job);

#endif
