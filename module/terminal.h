/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file terminal.h
 * @brief The terminal that httpd was started at, for messages after stderr has
 * become the error log.
 *
 * Runs in the httpd parent, while it reads its configuration for the first
 * time.
 */
#ifndef SPAWN_TERMINAL_H
#define SPAWN_TERMINAL_H

#include "module/module.h"

/** Keep it as long as the pool lives. Before the core opens the error log. */
void spawn_terminal_keep(apr_pool_t *p);

/** Write a line there, if a terminal is kept. */
void spawn_terminal_say(const char *text);

#endif
