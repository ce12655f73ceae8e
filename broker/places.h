/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file places.h
 * @brief The files that the broker lives in: is the socket, the store and the
 * spool still where they were made?
 *
 * Cleaners of temporary files and slips of rm take them away. That is told at
 * once; what the broker may make anew it makes anew, the rest is httpd's
 * parent's (module/places.c), which looks every 10 s.
 */
#ifndef SPAWN_BROKER_PLACES_H
#define SPAWN_BROKER_PLACES_H

/** Watch them. After the store was opened. */
void spawn_places_open(void);

/** PLACES has come: what was missing is there again. */
void spawn_places_renewed(void);

#endif
