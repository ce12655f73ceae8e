/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file output.h
 * @brief The captured stdout and stderr of a job.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_OUTPUT_H
#define SPAWN_STATUS_OUTPUT_H

#include "module/status/page.h"

/** Both, of a job or of an attempt; nothing when nothing was captured. level:
 * of the headlines. */
void spawn_output_put(spawn_page *page, const spawn_message *m, unsigned level);

#endif
