/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unrecorded.h
 * @brief Calls that have ended and been answered, and that the store does not
 * have, since it took nothing then.
 *
 * The same call may come again by another way: it lies in the spool, or in the
 * socket of another caller. It must not run again, though the store knows
 * nothing of it. A broker after this one does not know it either.
 */
#ifndef SPAWN_BROKER_STORE_UNRECORDED_H
#define SPAWN_BROKER_STORE_UNRECORDED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/spawn_id.h"

/** The call of this id has ended; digest: of its message. With some thousands
 * of them, or without memory for them, the oldest are forgotten. */
void spawn_unrecorded_add(const spawn_id *id, uint64_t digest);

/** Has it ended so? False leaves *ret_digest untouched. */
bool spawn_unrecorded_find(const spawn_id *id, uint64_t *ret_digest);

#endif
