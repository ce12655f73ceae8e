/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file listen.h
 * @brief The sockets that a spawner's parent makes, and the inbox.
 *
 * Runs in the parent. Functions return 0 or a descriptor, or a negative errno.
 */
#ifndef SPAWN_PARENT_LISTEN_H
#define SPAWN_PARENT_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** A connection to the socket of that name in a directory. */
int spawn_connect_in(int dir_fd, const char *name);

/** The process that serves the socket, when it is another one that lives; 0
 * when none does. */
pid_t spawn_served_by(int dir_fd, const char *name);

/** A listening socket of that name, in the place of an old one, with these
 * rights. -EEXIST: something else than a socket stands there. */
int spawn_listen_in(int dir_fd, const char *name, mode_t mode, gid_t gid);

/** A new secret, the two ends of a post socket, and the memory of an inbox. */
int spawn_post_make(uint8_t *secret, size_t size, int *ret_rx, int *ret_tx,
                    int *ret_inbox);

#endif
