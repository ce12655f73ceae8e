/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_cron.h
 * @brief The text of a schedule: the five fields of crontab(5).
 *
 * Runs in the httpd parent (to check what was written) and in the broker.
 */
#ifndef SPAWN_CRON_H
#define SPAWN_CRON_H

#include <stddef.h>

#include "common/spawn_cron_next.h"

/** Most bytes of it. */
#define SPAWN_CRON_TEXT_MAX 255

/**
 * Parse "0 4 * * *", "30 4 1,15 * mon-fri", "@daily".
 * @param why which field is wrong, what is wrong with it, and what is allowed;
 * printable.
 * @return 0, or -EINVAL; *ret untouched then.
 */
int spawn_cron_parse(const char *text, spawn_cron *ret, char *why, size_t room);

#endif
