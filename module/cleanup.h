/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cleanup.h
 * @brief Work after the answer: jobs of a request that are posted when its
 * client has the whole answer.
 *
 * Runs in httpd children, in whatever thread works on the request. Runs no Perl
 * and never waits: a post that does not fit goes to the spool.
 */
#ifndef SPAWN_CLEANUP_H
#define SPAWN_CLEANUP_H

#include "module/module.h"
#include "module/perl_runner.h"

/* As in perl_runner.h. */
apr_status_t spawn_cleanup_register(request_rec *r, const void *message,
                                    apr_size_t length, spawn_cleanup_when when);

/** Hook log_transaction, the last one: how the request ended. */
int spawn_cleanup_log_last(request_rec *r);

#endif
