/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file frame.h
 * @brief The frame of all pages: head, navigation, foot; and the page that says
 * why there is none.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_FRAME_H
#define SPAWN_STATUS_FRAME_H

#include "module/status/page.h"

/** HTML up to the beginning of the view. view: the one that the navigation
 * marks ("", "jobs", "dead"). live: it may be shown anew by itself. */
void spawn_frame_begin(spawn_page *page, const char *title, const char *view,
                       bool live);
void spawn_frame_end(spawn_page *page, bool live);

/** In the place of a page: page->status and page->why. */
void spawn_frame_failed(spawn_page *page);

#endif
