/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_fd.h
 * @brief A descriptor that is kept for long in a process that is not ours
 * alone: its number, and which file that was.
 *
 * Code that daemonizes closes all numbers and opens files of its own in their
 * place; a forked child may do so too. Such a number must then be neither
 * written to nor closed. Runs in every process that keeps one beside other
 * people's code; async-signal-safe, leaves errno alone.
 */
#ifndef SPAWN_FD_H
#define SPAWN_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
    uint64_t event; /* of an eventfd: its number, from 1 on */
} spawn_kept_fd;

/** No descriptor. */
#define SPAWN_KEPT_NONE                                                        \
    {                                                                          \
        -1, 0, 0, 0                                                            \
    }

/** Keep this number, and note which file it is now. -1 or a closed number:
 * none. */
void spawn_fd_keep(spawn_kept_fd *kept, int fd);

/** The number while it is still the same file, else -1. */
int spawn_fd_kept(const spawn_kept_fd *kept);

/** Close it if it is still the same file. None is kept afterwards. */
void spawn_fd_close(spawn_kept_fd *kept);

#endif
