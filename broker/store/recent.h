/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recent.h
 * @brief Ids of jobs that ended a moment ago, so that a new id need not be
 * looked up in the store.
 *
 * An id carries its time. If it is younger than all ids that this broker has
 * forgotten, it is known when it is in memory (an open job) or here, and new
 * otherwise: the store need not be asked. For older ids the store has to be
 * asked.
 */
#ifndef SPAWN_BROKER_STORE_RECENT_H
#define SPAWN_BROKER_STORE_RECENT_H

#include "common/spawn_id.h"
#include "broker/job/job.h"

/** The broker has begun: jobs of its predecessors, whose ids have times up to
 * newest, are in the store only. */
void spawn_recent_begin(spawn_store *store, uint64_t newest);

/** The job of this id has ended, and is removed from memory. */
void spawn_recent_add(spawn_store *store, const spawn_id *id);

/** True when an id that is not in memory cannot be in the store either. */
bool spawn_recent_is_new(const spawn_store *store, const spawn_id *id);

#endif
