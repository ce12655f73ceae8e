/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file passed.h
 * @brief Descriptors that callers passed: closed by the closer
 * (spawn_closer.h), and counted for the uid that sent them.
 */
#ifndef SPAWN_BROKER_BASE_PASSED_H
#define SPAWN_BROKER_BASE_PASSED_H

#include <stdbool.h>
#include <sys/types.h>

/** From now on packets are closed by the closer. Once. */
void spawn_passed_begin(void);

/** Descriptors that are closed with a packet from now on came from this uid. */
void spawn_passed_by(uid_t uid);

/** Give each of fds[0..count-1] that is not -1 to the closer; set it to -1. */
void spawn_passed_close(int *fds, unsigned count, uid_t uid);

/** True when so many descriptors of this uid do not close that no more are
 * taken from it. */
bool spawn_passed_too_many(uid_t uid);

#endif
