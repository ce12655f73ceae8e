/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file passed.h
 * @brief Bytes of a stream socket, and the handles that ride on them. Runs in
 * callers of Apache2::Spawn::Process, and in processes that are set up. Does no
 * more than the one system call.
 */
#ifndef SPAWN_PROCESS_PASSED_H
#define SPAWN_PROCESS_PASSED_H

#include <stddef.h>

/** Most handles that the kernel takes at once (SCM_MAX_FD). */
#define SPAWN_PASSED_MOST 253

/** Send bytes, with handles on the first of them. Returns how many bytes were
 * taken, or a negative errno. */
long spawn_passed_send(int sock, const void *bytes, size_t length,
                       const int *fds, unsigned count);

/**
 * Receive bytes, and the handles of the first of them, close-on-exec.
 *
 * @param fds room for SPAWN_PASSED_MOST.
 * @return how many bytes, 0 at the end, or a negative errno; -EMFILE: this
 * process had no room for all handles, and has none of them.
 */
long spawn_passed_receive(int sock, void *bytes, size_t room, int *fds,
                          unsigned *ret_count);

#endif
