/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file take.h
 * @brief A job that has come is taken, or told of when it is known.
 */
#ifndef SPAWN_BROKER_CALLER_TAKE_H
#define SPAWN_BROKER_CALLER_TAKE_H

#include "common/spawn_error.h"
#include "broker/caller/incoming.h"

/** @return 0: it is taken, or another one is kept, and its caller has an answer
 * or is owed one; 1: it is known, and its caller is told; -1: it is refused,
 * with why filled. */
int spawn_take(const spawn_incoming *in, spawn_failure *why);

#endif
