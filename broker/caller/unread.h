/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unread.h
 * @brief Big answers that lie in callers' sockets.
 *
 * Each is a memfd: as long as it is not read it is memory of the broker's, and
 * a descriptor in flight of the broker's account, though it takes some bytes of
 * the socket only.
 */
#ifndef SPAWN_BROKER_CALLER_UNREAD_H
#define SPAWN_BROKER_CALLER_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** So many may lie in the sockets of an account that SpawnAccess lets in. */
#define SPAWN_UNREAD_MAX   64
#define SPAWN_UNREAD_BYTES ((size_t)128 << 20)

typedef struct spawn_unread spawn_unread;

/**
 * A big answer of this connection.
 * @param counts against what its account may have.
 */
spawn_unread *spawn_unread_add(int fd, uid_t uid, bool counts, size_t bytes);

/** It waits here for the socket, or is in it, the last that was sent. */
void spawn_unread_waits(spawn_unread *u, bool waits);

/** The memory of its socket that has what is not read. */
int spawn_unread_memory(const spawn_unread *u);

/** A small answer was sent after it.
 * @param before what spawn_unread_memory said before that. */
void spawn_unread_behind(spawn_unread *u, int before);

/** True: the caller has all that was sent to it, and u is no more. */
bool spawn_unread_is_read(spawn_unread *u);

/** The account has as many as it may. */
bool spawn_unread_too_many(uid_t uid);

/** The connection closes, and u belongs to this file from now on. It counts
 * until the answer is read, or the other end has closed. */
void spawn_unread_leave(spawn_unread *u);

#endif
