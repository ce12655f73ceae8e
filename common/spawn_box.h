/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_box.h
 * @brief Descriptors that are kept outside of a process's table of descriptors.
 *
 * A descriptor in the table is closed by each child that is forked, and a file
 * whose file system does not answer holds up every such close. In the queue of
 * a Unix socket it holds up nothing. The box is that socket; it is passed on,
 * duplicated and closed like any descriptor. The descriptors in it are closed
 * with it, so only the closer may close a box (spawn_closer.h).
 *
 * Runs in spawner and broker. Never blocks.
 */
#ifndef SPAWN_BOX_H
#define SPAWN_BOX_H

/** A box that holds duplicates of these. A descriptor, or a negative errno. */
int spawn_box_make(const int *fds, unsigned count);

/**
 * Duplicates of what is in a box, which stays as it is.
 * @return how many, at most room; a negative errno.
 */
int spawn_box_look(int box, int *fds, unsigned room);

#endif
