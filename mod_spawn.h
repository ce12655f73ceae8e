/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_spawn.h
 * @brief What mod_spawn offers to other modules of the same httpd.
 *
 * Get a function with APR_RETRIEVE_OPTIONAL_FN in an httpd child; a NULL
 * pointer means that mod_spawn is not loaded. All run in httpd children, in
 * any thread, and never fork.
 */
#ifndef MOD_SPAWN_H
#define MOD_SPAWN_H

#include <stdint.h>

#include "apr_optional.h"
#include "httpd.h"

/** What an httpd child inherits to reach the broker. Lives as long as the
 * child; the path, the secret and the descriptor never change under one
 * parent. */
typedef struct {
    const char *socket_path;
    const uint8_t *secret; /* 32 bytes */
    int post_fd;
} spawn_child_endpoint;

/**
 * @return the endpoint, or NULL before child_init and when mod_spawn did not
 * start.
 */
APR_DECLARE_OPTIONAL_FN(const spawn_child_endpoint *, spawn_child_endpoint_get,
                        (void));

/** SpawnSubmitTimeout of a virtual host, in milliseconds. */
APR_DECLARE_OPTIONAL_FN(uint32_t, spawn_submit_timeout_ms, (server_rec * s));

/**
 * Runs Perl in a template that was forked from the httpd parent: takes orders
 * over the link until it ends, forks jobs. Called in the forked process; when
 * it returns the process ends.
 */
typedef void (*spawn_template_runner_fn)(void *interpreter, const char *name,
                                         int link);

/**
 * Say who runs Perl in templates. In the httpd parent, while it starts; holds
 * until the configuration is cleared.
 */
APR_DECLARE_OPTIONAL_FN(void, spawn_template_runner_set,
                        (spawn_template_runner_fn fn, void *interpreter));

#endif
