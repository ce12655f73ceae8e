/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file offer.h
 * @brief A caller that calls again and again is lent the worker that has just
 * served it. docs/leases.md says how.
 */
#ifndef SPAWN_BROKER_CALLER_OFFER_H
#define SPAWN_BROKER_CALLER_OFFER_H

#include "broker/caller/connection.h"

/** A call of this caller came, which a worker is to serve. */
void spawn_offer_called(spawn_peer *peer);

/** The call has ended, and its caller is answered next: send it an end of a
 * socket to its worker. Returns the other end, or -1: it is not to be lent. */
int spawn_offer(spawn_peer *peer, const spawn_job *job);
/** It is answered: the worker gets its end (taken), and the lease begins; -1:
 * none. */
void spawn_offer_taken(spawn_peer *peer, const spawn_job *job, int direct);

#endif
