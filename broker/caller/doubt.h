/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file doubt.h
 * @brief Refusals of jobs that may have run.
 *
 * A caller takes a job that is refused for one that has not run, and may have
 * it run by another way. So a refusal to a caller says `unconfirmed`, and its
 * reason only in the text, when the job may have run as far as this broker can
 * tell: LEASE_LOST came before it, its end was told, or its id is not new and
 * cannot be looked up. A broker that refuses all, since it cannot open its
 * store, says `store`: the client knows whether it has sent the job to a broker
 * before, and makes `unconfirmed` of that (client/submit.c). Jobs without a
 * caller keep their codes, after which some of them come again.
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
