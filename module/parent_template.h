/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parent_template.h
 * @brief Templates that are forked from the httpd parent itself: all that
 * startup files have loaded is there, shared copy-on-write.
 *
 * Runs in the httpd parent, and, in what is forked here, in the template.
 */
#ifndef SPAWN_PARENT_TEMPLATE_H
#define SPAWN_PARENT_TEMPLATE_H

#include "module/perl_runner.h"
#include "module/setup.h"

/** Fork the templates of this configuration, if httpd has a Perl to run them;
 * else the spawner is told that there are none.
 * At the end of post_config, after mod_perl's own. */
void spawn_parent_templates_begin(const spawn_setup *setup);

/** The names of those that there are now, with commas; "": none. */
const char *spawn_parent_templates_names(apr_pool_t *p);

/** For the monitor hook: fork those again that have ended, and tell of those
 * that are not there, as long as no spawner has heard it. */
void spawn_parent_templates_look(const spawn_setup *setup);

/** Another spawner has taken the place of one that has gone: fork templates for
 * it, or tell it that there are none. Those of before stay for their jobs, and
 * then end. */
void spawn_parent_templates_again(const spawn_setup *setup);

/** The configuration is cleared: forget the function that runs Perl (its
 * library is unloaded too). */
void spawn_parent_templates_forget(void);

/** Optional function: a virtual host with a Perl of its own. */
void spawn_own_perl_note(server_rec *s);
/** Has any Perl of the parent loaded Apache2::Spawn since the configuration is
 * read? */
bool spawn_template_runner_there(void);

/** Optional function: sets the function that runs Perl in a template. */
void spawn_template_runner_set(spawn_template_runner_fn fn, void *interpreter);

#endif
