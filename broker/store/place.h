/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file place.h
 * @brief Which file the store was opened from.
 */
#ifndef SPAWN_BROKER_STORE_PLACE_H
#define SPAWN_BROKER_STORE_PLACE_H

#include "broker/job/job.h"

/** The path of a file in the store's directory, into room[PATH_MAX]. 0, or
 * -ENAMETOOLONG. */
int spawn_store_path(const spawn_store *store, char *room, const char *name);

/** Remember which file was opened; is it still in its place? */
void spawn_store_note_place(spawn_store *store);
bool spawn_store_there(const spawn_store *store);

#endif
