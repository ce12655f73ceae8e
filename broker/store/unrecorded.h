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
#include <sys/types.h>

#include "common/spawn_id.h"
#include "common/spawn_proto.h"

/** The parts of a call that are kept. */
typedef struct {
    spawn_id id;
    uint64_t digest; /* of its message */
    uid_t caller_uid;
    char queue[SPAWN_NAME_MAX + 1];
} spawn_unrecorded;

/** This call has ended. With some thousands of them, or without memory for
 * them, the oldest are forgotten. */
void spawn_unrecorded_add(const spawn_unrecorded *call);

/** NULL: none of this id has ended so. */
const spawn_unrecorded *spawn_unrecorded_find(const spawn_id *id);

#endif
