/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_closer.h
 * @brief Closes descriptors that came from outside, in a process of its own.
 *
 * close(2) can block for as long as somebody else likes: a TCP socket with
 * SO_LINGER whose peer does not read, a file of a FUSE or NFS server that does
 * not answer. So an event loop never closes a descriptor that it was sent; it
 * gives the number away here. Only a process that shares the table of
 * descriptors can close a number. So the closer is cloned with the same table
 * and a memory of its own; a stuck one is joined by others, up to a bound.
 *
 * Runs in spawner and broker: one thread, one loop. Never blocks.
 */
#ifndef SPAWN_CLOSER_H
#define SPAWN_CLOSER_H

#include <stdint.h>
#include <sys/types.h>

/** Descriptors of one owner that wait to be closed: with more, take nothing
 * from it that carries descriptors. */
#define SPAWN_CLOSER_MANY 64

/** Give away a descriptor that a process of this uid sent. The number is not
 * ours any more; the kernel uses it again when it is closed. -1 is allowed. */
void spawn_closer_give(int fd, uid_t owner);

/** Close a Unix socket that may still have such descriptors in its queue:
 * close(2) would close them here. They are taken out and given away. Other
 * packets are thrown away (else the other end could not read what we sent). A
 * socket with too much in it is given away itself. */
void spawn_closer_give_socket(int fd, uid_t owner);

/** How many descriptors of this owner (and of others that share its place) are
 * not closed yet. */
unsigned spawn_closer_waiting(uid_t owner);

/**
 * Look after the closers: start one, start one more beside a stuck one, reap
 * those that left.
 * @return ms until it must be called again, -1: not before the next give.
 */
int spawn_closer_tick(int64_t now);

/** Make what giving needs, while there are descriptors: what is given when none
 * are left would stay open for good. */
void spawn_closer_prepare(void);

/** Where argv[0] is, so that a closer can put its own name there, in its own
 * memory. */
void spawn_closer_name(char *argv0);

/** Before exec in place: end the closers. Descriptors that none of them has
 * closed stay open, which the exec would otherwise close here. */
void spawn_closer_end(void);
/** That exec failed: give what was left open then once more. */
void spawn_closer_again(void);

#endif
