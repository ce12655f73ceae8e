/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file doubt.h
 * @brief Refusals of jobs that may have run.
 *
 * A caller takes a job that is refused for one that has not run, and may have
 * it run by another way. So a refusal of one that may have run says
 * `unconfirmed`, and its reason only in the text.
 */
#ifndef SPAWN_BROKER_CALLER_DOUBT_H
#define SPAWN_BROKER_CALLER_DOUBT_H

#include "common/spawn_error.h"
#include "broker/caller/connection.h"

/** This refusal is of a job that may have run. */
void spawn_doubt(spawn_failure *why);

/** A submit of this peer is refused, or a message that may have been one. The
 * job may have run if LEASE_LOST came before it; what the peer submits next is
 * another one. Before the refusal is counted and sent. */
void spawn_doubt_refused(spawn_peer *peer, spawn_failure *why);

#endif
