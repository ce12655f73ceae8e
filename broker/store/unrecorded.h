/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unrecorded.h
 * @brief Calls that have ended and been answered, and that the store does not
 * have: it has them a moment later, or takes nothing now.
 *
 * The same call may come again by another way: it lies in the spool, or in the
 * socket of another caller. It must not run again, though the store knows
 * nothing of it. So they are kept behind the numbers of the broker, in the
 * memory of the inbox (caller/inbox.h), and a broker that follows a killed one
 * knows them, too.
 */
#ifndef SPAWN_BROKER_STORE_UNRECORDED_H
#define SPAWN_BROKER_STORE_UNRECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spawn_id.h"
#include "common/spawn_proto.h"
#include "broker/job/job.h"

/** The parts of a call that are kept. */
typedef struct {
    spawn_id id;
    uint64_t digest; /* of its message */
    uid_t caller_uid;
    char queue[SPAWN_NAME_MAX + 1];
} spawn_unrecorded;

/** Bytes that they take. */
size_t spawn_unrecorded_size(void);

/**
 * Before anything is taken in.
 * @param room of spawn_unrecorded_size bytes, aligned as malloc's, zeros or the
 * calls of a broker before; NULL: there is none, and the next broker will not
 * know them.
 */
void spawn_unrecorded_open(void *room);

/** This call has ended. With some thousands of them, or without memory for
 * them, the oldest are forgotten. */
void spawn_unrecorded_add(const spawn_unrecorded *call);

/** The same. Somebody knows its end. */
void spawn_unrecorded_keep(const spawn_job *job);

/** The store has it, if it is one of them. */
void spawn_unrecorded_drop(const spawn_id *id);

/** NULL: none of this id has ended so. */
const spawn_unrecorded *spawn_unrecorded_find(const spawn_id *id);

#endif
