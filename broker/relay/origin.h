/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file origin.h
 * @brief Shared jobs at the host that they were submitted to: they are handed
 * over, and news of them come back.
 */
#ifndef SPAWN_BROKER_RELAY_ORIGIN_H
#define SPAWN_BROKER_RELAY_ORIGIN_H

#include "broker/job/job.h"

/** Give its order to the relay. 0; -1: it cannot be, and why says so. */
int spawn_origin_hand_over(spawn_job *job, const spawn_body *body,
                           spawn_failure *why);

/** The engine has its order. */
void spawn_origin_carried(const spawn_id *id);

/** Nobody knows what has become of the orders that were on their way: they are
 * handed over again. */
void spawn_origin_cut(void);

/** News have come with this delivery: a SHARED_NEWS. */
void spawn_origin_news(uint64_t delivery, const void *data, size_t length);

/** Acknowledge a delivery; code: it could not be taken now, and comes again. */
void spawn_delivery_kept(uint64_t delivery, unsigned code);
/** The same, when the store has the job. */
void spawn_delivery_of(spawn_job *job, uint64_t delivery);

#endif
