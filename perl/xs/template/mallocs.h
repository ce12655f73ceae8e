/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mallocs.h
 * @brief Which mallocs a process has: memory in a file is not for all of them.
 *
 * Runs in a template, which has one thread, before it serves. Knows nothing of
 * Perl.
 */
#ifndef SPAWN_TEMPLATE_MALLOCS_H
#define SPAWN_TEMPLATE_MALLOCS_H

#include <stdbool.h>
#include <stddef.h>

/** Is malloc the C library's (GNU's)? Of others nothing is known.
 * @param ret_name the file that it is in. */
bool spawn_template_malloc_is_ours(const char **ret_name);

/** Has a library a malloc for itself, under another name?
 * @param ret_library the file that it is in, @param ret_symbol and its name. */
bool spawn_template_has_inner_malloc(const char **ret_library,
                                     const char **ret_symbol);

/** Is there a sanitizer, which replaces malloc? */
bool spawn_template_is_sanitized(void);

#endif
