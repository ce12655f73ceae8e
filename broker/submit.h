/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file submit.h
 * @brief Taking in a job, from a caller or from the inbox.
 */
#ifndef SPAWN_BROKER_SUBMIT_H
#define SPAWN_BROKER_SUBMIT_H

#include "peer.h"

/** A caller's SUBMIT. Takes the descriptors out of the packet when the job is
 * taken. The answer comes at the end of the turn. */
void spawn_submit(spawn_peer *peer, const spawn_message *m, spawn_packet *p);

/** A POST that lies in a slot of the inbox (counted from 1). The slot is freed
 * when the store has the job or its refusal. */
void spawn_submit_post(unsigned slot, const void *data, size_t length,
                       unsigned fds);

#endif
