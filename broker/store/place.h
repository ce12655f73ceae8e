/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file place.h
 * @brief Which file the store was opened from.
 */
#ifndef SPAWN_BROKER_STORE_PLACE_H
#define SPAWN_BROKER_STORE_PLACE_H

#include <stdbool.h>

/** The path of a file in the store's directory, into room[PATH_MAX]. 0, or
 * -ENAMETOOLONG. */
int spawn_store_path(char *room, const char *name);

/** Remember which file was opened; is it still in its place? */
void spawn_store_note_place(void);
bool spawn_store_there(void);

#endif
