/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file places.h
 * @brief Files that httpd's parent made for the pair, made anew when somebody
 * removed them: the socket, the store's directory, its lock, `control` and
 * spool.
 *
 * Runs in the httpd parent; look in the MPM's loop, where it must not wait.
 */
#ifndef SPAWN_PLACES_H
#define SPAWN_PLACES_H

#include "module/setup.h"

/** Remember which files in the store are the pair's. */
void spawn_places_note(int store_fd, bool external);
/** Is the pair's spawner one that httpd has not started? False: it is not, or
 * nobody knows. */
bool spawn_places_external(void);
/** Is it one that httpd has started? False: it is not, or nobody knows. */
bool spawn_places_internal(void);

/** Are they still there? Make those that are missing, and give them to the
 * pair. */
void spawn_places_look(const spawn_setup *setup);

#endif
