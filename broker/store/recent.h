/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recent.h
 * @brief Ids of jobs that ended a moment ago, so that a new id need not be
 * looked up in the store.
 *
 * An id carries its time. One that is younger than all that this broker has
 * forgotten is known if it is in memory (an open job) or here; the store would
 * only say so again. Of older ones the store has to be asked.
 */
#ifndef SPAWN_BROKER_STORE_RECENT_H
#define SPAWN_BROKER_STORE_RECENT_H

#include "common/spawn_id.h"
#include "broker/job/job.h"

/** The broker has begun: jobs of its predecessors, whose ids have times up to
 * newest, are in the store only. */
void spawn_recent_begin(spawn_store *store, uint64_t newest);

/** A job of this id has ended and goes from memory. */
void spawn_recent_add(spawn_store *store, const spawn_id *id);

/** True when an id that is not in memory cannot be in the store either. */
bool spawn_recent_is_new(const spawn_store *store, const spawn_id *id);

#endif
