/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file terminal.h
 * @brief The terminal that httpd was started at, after the core has put the
 * error log in its place.
 *
 * Runs in the httpd parent, while it reads its configuration for the first
 * time.
 */
#ifndef SPAWN_TERMINAL_H
#define SPAWN_TERMINAL_H

#include "module/module.h"

/** Keep it as long as the pool lives. Before the core opens the error log. */
void spawn_terminal_keep(apr_pool_t *p);

/** Write a line there; without one that is kept, nothing. */
void spawn_terminal_say(const char *text);

#endif
