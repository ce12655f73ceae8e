/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file many.h
 * @brief Acts on all jobs that are chosen: a page that says how many they are,
 * and the act itself, some at a time.
 *
 * Runs in httpd children, in the thread of the request. A function that may
 * fail returns 0, or -1 with the page's status and why.
 */
#ifndef SPAWN_STATUS_MANY_H
#define SPAWN_STATUS_MANY_H

#include "client/choice.h"
#include "module/status/page.h"

/** Links to what can be done with those that are listed. */
void spawn_many_links(spawn_page *page, const spawn_choice *choice);

/** The page that asks; nothing is done. */
int spawn_many_ask(spawn_page *page);

/** The form that was sent. */
int spawn_many_do(spawn_page *page);

/** A sentence about what was done, as the query tells. */
void spawn_many_done(spawn_page *page);

#endif
