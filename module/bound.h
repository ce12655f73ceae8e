/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bound.h
 * @brief A line in the log for a job that may outlive its request.
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#ifndef SPAWN_BOUND_H
#define SPAWN_BOUND_H

#include "module/perl_runner.h"

/* As in perl_runner.h. */
void spawn_bound_untold(server_rec *s, const char *id, const char *why);

#endif
