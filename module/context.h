/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file context.h
 * @brief The context of a job: the request that wants it.
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#ifndef SPAWN_CONTEXT_H
#define SPAWN_CONTEXT_H

#include "module/perl_runner.h"

/** Most bytes of a value: a client chooses how long its URI, its method and the
 * name of its user are. */
#define SPAWN_CONTEXT_VALUE_MAX 1000
#define SPAWN_CONTEXT_SHORT_MAX 256

/* As in perl_runner.h. */
unsigned spawn_request_context(request_rec *r, spawn_context_pair *pairs);

/** The id of the client's request, as its jobs and httpd's logs (%L) have it;
 * NULL: there is none. */
const char *spawn_request_id(request_rec *r);

/** The request that the client made, given that request, a subrequest of it, or
 * one that it was redirected to. */
request_rec *spawn_first_request(request_rec *r);

/** The last one that it was redirected to, or itself. */
request_rec *spawn_last_request(request_rec *r);

#endif
