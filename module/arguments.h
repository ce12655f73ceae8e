/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file arguments.h
 * @brief Texts as the arguments of a Perl function.
 *
 * Runs in httpd: the parent and its children.
 */
#ifndef SPAWN_ARGUMENTS_H
#define SPAWN_ARGUMENTS_H

#include "apr_tables.h"

#include "common/spawn_wire.h"

/** Put the attribute ARGS: the texts (const char *) from the i-th on. Needs
 * memory of the pool for as long as it takes. */
void spawn_put_arguments(apr_pool_t *p, spawn_writer *w,
                         const apr_array_header_t *texts, int i);

#endif
