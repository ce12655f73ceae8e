/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file form.h
 * @brief Forms by which something is done: of one job or queue (act.c), of many
 * jobs (many.c).
 *
 * Runs in httpd children, in the thread of the request. A function that may
 * fail returns 0, or -1 with the page's status and why.
 */
#ifndef SPAWN_STATUS_FORM_H
#define SPAWN_STATUS_FORM_H

#include "http_protocol.h"

#include "module/status/page.h"

/** Nobody can act here, or this visitor cannot: -1. */
int spawn_form_no_control(spawn_page *page);

/** The token that the form is to bring back; a choice of signals. */
int spawn_form_token(spawn_page *page, const char *act, const char *target);
void spawn_form_signals(spawn_page *page);

/** The form that was sent, and a field of it, or "". */
int spawn_form_read(spawn_page *page, apr_array_header_t **ret);
const char *spawn_form_field(spawn_page *page, const apr_array_header_t *pairs,
                             const char *name);
/** The name of a signal in it, and its number, or 0. */
int spawn_form_signal(spawn_page *page, const apr_array_header_t *pairs,
                      const char **ret);
int spawn_form_signal_number(const char *name);

/** Did a page of ours make it, for this? Else it is logged. */
int spawn_form_check(spawn_page *page, const char *act, const char *target,
                     const apr_array_header_t *pairs);

/** For the log: "user 'u', client 192.0.2.1". */
const char *spawn_form_who(const request_rec *r);

#endif
