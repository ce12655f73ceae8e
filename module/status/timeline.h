/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file timeline.h
 * @brief How long a job, and each attempt at it, waited and ran: as a picture,
 * and as a list for a reader that does not see it.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_TIMELINE_H
#define SPAWN_STATUS_TIMELINE_H

#include "module/status/page.h"

void spawn_timeline(spawn_page *page, const spawn_message *job);

#endif
