/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file accept.h
 * @brief Callers are let in: the listening socket, HELLO.
 *
 * Each has a deadline to say HELLO, before which it can pass no descriptors
 * where the kernel knows how to refuse them.
 */
#ifndef SPAWN_BROKER_CALLER_ACCEPT_H
#define SPAWN_BROKER_CALLER_ACCEPT_H

#include "broker/job/job.h"

/** The listening socket; accepting begins with listen. Jobs that come
 * in go into this batch. */
void spawn_callers_listen_on(int fd);
void spawn_callers_listen(spawn_batch *batch);

/** SpawnAccess was said anew: connections of accounts that have no right any
 * more, and wait for no answer, are closed. */
void spawn_callers_ruled(void);

#endif
