/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file forks.h
 * @brief What of ours the processes keep that are forked from httpd's parent.
 *
 * Runs in the httpd parent, and in what it forks before the fork has returned.
 */
#ifndef SPAWN_FORKS_H
#define SPAWN_FORKS_H

#include "retained.h"

/** See to each fork of the parent from now on, until the module is unloaded.
 * May be called again. */
apr_status_t spawn_forks_watch(spawn_retained *r);

#endif
