/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_template.h
 * @brief The command line of an `exec` template, as the broker orders it and as
 * the spawner lets it pass.
 *
 * Runs in the broker and in the spawner. Must allocate nothing.
 */
#ifndef SPAWN_TEMPLATE_H
#define SPAWN_TEMPLATE_H

#include "common/spawn_proto.h"

/** The Perl code of a template's command line. */
#define SPAWN_TEMPLATE_RUN                                                     \
    "use Apache2::Spawn::Template; "                                           \
    "Apache2::Spawn::Template::serve(@ARGV)"

/** Is it a command line of the template with these rules (a TEMPLATE_RULES,
 * taken apart), so that no other code runs than httpd.conf names? */
bool spawn_template_argv_ok(const spawn_message *rules, const spawn_attr *argv);

#endif
