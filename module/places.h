/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file places.h
 * @brief What httpd's parent made for the pair, made anew when somebody removed
 * it: the socket, the store's directory, its lock, `control` and spool.
 *
 * Runs in the httpd parent; look in the MPM's loop, where it must not wait.
 */
#ifndef SPAWN_PLACES_H
#define SPAWN_PLACES_H

#include "module/setup.h"

/** Remember what is the pair's in the store. */
void spawn_places_note(int store_fd);

/** Are they still there? What is not is made, and given to the pair. */
void spawn_places_look(const spawn_setup *setup);

#endif
