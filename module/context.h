/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file context.h
 * @brief What a job is told of the request that wants it.
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#ifndef SPAWN_CONTEXT_H
#define SPAWN_CONTEXT_H

#include "module/perl_runner.h"

/* As in perl_runner.h. */
unsigned spawn_request_context(request_rec *r, spawn_context_pair *pairs);

#endif
