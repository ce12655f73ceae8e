/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_closer.h
 * @brief Closes descriptors that came from outside, in a process of its own.
 *
 * close(2) can block for as long as somebody else likes: a TCP socket with
 * SO_LINGER whose peer does not read, a file of a FUSE or NFS server that does
 * not answer. An event loop never closes what it was sent; it gives the number
 * away here. Only who shares the table of descriptors can close a number, so
 * the closer is cloned with the table shared and its memory its own; a stuck
 * one is joined by others, up to a bound.
 *
 * Runs in spawner and broker: one thread, one loop. Never blocks.
 */
#ifndef SPAWN_CLOSER_H
#define SPAWN_CLOSER_H

#include <stdint.h>
#include <sys/types.h>

/** Of one owner that wait to be closed: with more, nothing that carries
 * descriptors should be taken from it. */
#define SPAWN_CLOSER_MANY 64

/** Give away a descriptor that a process of this uid sent. The number is not
 * ours any more, and is used again by the kernel when it is closed. -1 is
 * allowed. */
void spawn_closer_give(int fd, uid_t owner);

/** Close a Unix socket of packets that such descriptors may still be queued in:
 * closed with it, they would be closed here. They are taken out and given away,
 * what else was sent is thrown away (else what we sent could not be read by the
 * other end); a socket with too much in it is given away itself. */
void spawn_closer_give_socket(int fd, uid_t owner);

/** How many of this owner (and of others that share its place) are not closed
 * yet. */
unsigned spawn_closer_waiting(uid_t owner);

/**
 * Look after the closers: start one, start one more beside a stuck one, reap
 * those that left.
 * @return ms until it must be called again, -1: not before the next give.
 */
int spawn_closer_tick(int64_t now);

/** What the command line of a closer shows in the place of argv[0], which is
 * overwritten in the closer's own memory. */
void spawn_closer_name(char *argv0);

/** Before exec in place, which would close what still waits: closers end, and
 * what no one has closed stays open. */
void spawn_closer_end(void);

#endif
