/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file forks.h
 * @brief Which of our descriptors a process keeps that is forked from httpd's
 * parent.
 *
 * Runs in the httpd parent, and in what it forks before the fork has returned.
 */
#ifndef SPAWN_FORKS_H
#define SPAWN_FORKS_H

#include "module/retained.h"
#include "scoreboard.h"

/** Handle each fork of the parent from now on, until the module is unloaded.
 * May be called again. */
apr_status_t spawn_forks_watch(spawn_retained *r);

/** The hook pre_mpm: before all other modules, and after them. */
int spawn_forks_before_mpm(apr_pool_t *p, ap_scoreboard_e type);
int spawn_forks_before_children(apr_pool_t *p, ap_scoreboard_e type);

#endif
