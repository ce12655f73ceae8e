/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file places.h
 * @brief The files that the broker needs: are the socket, the store and the
 * spool still where they were made?
 *
 * Cleaners of temporary files and slips of rm remove them. The broker says so
 * at once, and makes anew what it may; httpd's parent, which looks every 10 s,
 * makes the rest (module/places.c).
 */
#ifndef SPAWN_BROKER_PLACES_H
#define SPAWN_BROKER_PLACES_H

#include "broker/job/job.h"

/** Watch them. After the store was opened. */
void spawn_places_open(spawn_store *store);

/** PLACES has come: the missing places are there again. */
void spawn_places_renewed(void);

#endif
