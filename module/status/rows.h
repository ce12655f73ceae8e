/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rows.h
 * @brief Jobs as rows of a table, for the overview and the list; and how a job
 * is, as a badge.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_ROWS_H
#define SPAWN_STATUS_ROWS_H

#include "module/status/page.h"

/** "running", "exited 0": with the colour and the sign of good or bad. */
void spawn_rows_badge(spawn_page *page, const spawn_message *job);

/** What a job says of its progress, as text, and as a bar while it runs; head
 * and tail stand around it. Nothing when it says nothing. most: bytes. */
void spawn_rows_progress(spawn_page *page, const spawn_message *job,
                         const char *head, const char *tail, size_t most);

/** A value of its context, or NULL. */
const char *spawn_rows_context(const spawn_message *job, const char *name);

/** Head and end of the table. caption: for a reader that does not see the text
 * above. */
void spawn_rows_begin(spawn_page *page, const char *caption);
void spawn_rows_end(spawn_page *page);

/** A row; arg is the page. Always true. */
bool spawn_rows_job(void *arg, const spawn_message *job);

#endif
