/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_name.h
 * @brief Names of queues, templates and Perl functions, ids of requests. Every
 * process.
 */
#ifndef SPAWN_NAME_H
#define SPAWN_NAME_H

#include <stdbool.h>

/** A queue's name: 1-64 letters, digits, '_', '-', '.', not starting with a
 * '.' or '-'. */
bool spawn_queue_name_ok(const char *name);

/** A function's or module's name as Perl has them: words joined by '::'. */
bool spawn_perl_name_ok(const char *name);

/** A request's id that a program may have in its environment: at most 256
 * printable characters of ASCII, and no space. */
bool spawn_request_id_ok(const char *id);

#endif
