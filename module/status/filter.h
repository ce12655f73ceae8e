/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file filter.h
 * @brief Which jobs a page is about, as its query says it: read, shown as a
 * form, and written into links.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_FILTER_H
#define SPAWN_STATUS_FILTER_H

#include "client/choice.h"
#include "module/status/page.h"

/** From the query. rows: as many as are shown, when it does not say; most: as
 * many as it may say. @return 0, or -1 with the page's status and why. */
int spawn_filter_read(spawn_page *page, unsigned rows, unsigned most,
                      spawn_choice *ret);

/** Are jobs chosen by anything? */
bool spawn_filter_any(const spawn_page *page);

/** The form by which they are chosen. @return 0, or -1 with the page's status
 * and why: the queues are asked for. */
int spawn_filter_form(spawn_page *page);

/** "&amp;queue=q&amp;state=done": for a link in a page. place: with what pages
 * are turned by, too. */
void spawn_filter_link(spawn_page *page, bool place);
/** The same, with its place, for a header: "&queue=q". */
void spawn_filter_header(spawn_page *page);

/** The same as text that names this choice, "" for all jobs. */
const char *spawn_filter_text(const spawn_page *page);

/** The rows of the page are sorted by how long they took. */
bool spawn_filter_by_took(const spawn_page *page);

#endif
