/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_zone.h
 * @brief Time zones by their names.
 *
 * Runs in the httpd parent, which only checks names, and in the broker.
 */
#ifndef SPAWN_ZONE_H
#define SPAWN_ZONE_H

#include <stddef.h>

/** Most bytes of a name. */
#define SPAWN_ZONE_MAX 64

/**
 * Does the machine have a time zone of this name? Reads its file.
 * @param why what is wrong with it, printable.
 * @return 0, or -EINVAL.
 */
int spawn_zone_check(const char *zone, char *why, size_t room);

/** Have localtime_r in another zone ("": the local one), and again in that of
 * the process. No other thread may ask for the time of day meanwhile. */
void spawn_zone_enter(const char *zone);
void spawn_zone_leave(void);

#endif
