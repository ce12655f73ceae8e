/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unit.h
 * @brief The systemd unit that httpd is a process of, and what its end does to
 * jobs.
 *
 * Runs in the httpd parent, at its first start.
 */
#ifndef SPAWN_UNIT_H
#define SPAWN_UNIT_H

#include "module/module.h"

/** Tell that the unit's stop and restart end jobs, when httpd is in one. */
void spawn_unit_tell(apr_pool_t *p, server_rec *s);
/** The spawner is a service of its own: tell which Perl jobs end with httpd's
 * unit all the same, when httpd is in one. templates: the names of those that
 * are forked from httpd; "": none. */
void spawn_unit_tell_templates(apr_pool_t *p, server_rec *s,
                               const char *templates);

#endif
