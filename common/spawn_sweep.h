/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_sweep.h
 * @brief Many descriptors at once. Runs in every process; all return 0. [fork],
 * as in spawn_os.h.
 */
#ifndef SPAWN_SWEEP_H
#define SPAWN_SWEEP_H

/** Close every descriptor from first on. */
int spawn_os_close_from(int first);

/** Close the descriptors first to last. */
int spawn_os_close_between(int first, int last);

/** Set close-on-exec on every descriptor from first on. */
int spawn_os_cloexec_from(int first);

#endif
