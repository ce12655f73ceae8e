/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl_runner.h
 * @brief Between the module and Apache2::Spawn::Httpd, which is loaded into the
 * same httpd: the function that runs Perl in templates that are forked from the
 * httpd parent, and the context of a request.
 *
 * Not for other modules, and not installed. Optional functions, as those of
 * mod_spawn.h; called in the httpd parent while it starts, but
 * spawn_request_context and spawn_request_job.
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

/** A word for a job about its request. */
typedef struct {
    const char *name, *value;
} spawn_context_pair;

#define SPAWN_CONTEXT_PAIRS 6

/**
 * The context of a job that a request wants. In httpd children.
 * @param pairs room for SPAWN_CONTEXT_PAIRS; the values live as long as the
 * request.
 * @return how many there are.
 */
APR_DECLARE_OPTIONAL_FN(unsigned, spawn_request_context,
                        (request_rec * r, spawn_context_pair *pairs));

/**
 * A request has submitted a job, or registered one for after the answer: the
 * access log can have its id. In httpd children, in the thread of the request.
 * @param id of the job, 16 bytes.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_request_job,
                        (request_rec * r, const void *id));

#endif
