/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl_runner.h
 * @brief Between the module and Apache2::Spawn::Httpd, which is loaded into the
 * same httpd: the function that runs Perl in templates that are forked from the
 * httpd parent.
 *
 * Not for other modules, and not installed. Optional functions, as those of
 * mod_spawn.h; called in the httpd parent while it starts.
 */
#ifndef SPAWN_PERL_RUNNER_H
#define SPAWN_PERL_RUNNER_H

#include "apr_optional.h"
#include "httpd.h"

/**
 * Runs Perl in a template that was forked from the httpd parent: takes orders
 * over the link until it ends, forks jobs. memory: SPAWN_MEMORY_. spares: most
 * clones that it keeps ready. Called in the forked process; when it returns the
 * process ends.
 */
typedef void (*spawn_template_runner_fn)(void *interpreter, const char *name,
                                         int link, unsigned memory,
                                         unsigned spares);

/**
 * Set the function that runs Perl in templates. In the httpd parent, while it
 * starts; holds until the configuration is cleared.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_template_runner_set,
                        (spawn_template_runner_fn fn, void *interpreter));

/**
 * A virtual host has a Perl of its own (PerlOptions +Parent), and
 * Apache2::Spawn is loaded there: no template is forked from it. As above.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_own_perl_note, (server_rec * s));

#endif
