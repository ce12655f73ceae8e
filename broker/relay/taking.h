/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file taking.h
 * @brief Shared jobs at the host that runs them: they are taken, and their
 * origin is told what becomes of them.
 */
#ifndef SPAWN_BROKER_RELAY_TAKING_H
#define SPAWN_BROKER_RELAY_TAKING_H

#include "broker/job/job.h"

/** The relay is connected: tell it the free places, and the origins all that
 * they may not have. */
void spawn_taking_begin(spawn_batch *batch);

/** A job has come with this delivery: a SHARED_JOB. */
void spawn_taking_came(spawn_batch *batch, uint64_t delivery, const void *data,
                       size_t length);

/** The engine has the news of its end. */
void spawn_taking_carried(const spawn_id *id);

/** The store has a job as it is now: one of a shared queue may have to be
 * acknowledged, and told. */
void spawn_shared_stored(spawn_job *job);

/** A turn ends. */
void spawn_taking_turn(void);

#endif
