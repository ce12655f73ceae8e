/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file endpoint.h
 * @brief The child's side: hooks for it, and the functions that
 * Apache2::Spawn asks for it.
 *
 * Runs in httpd children; reset in the parent.
 */
#ifndef SPAWN_ENDPOINT_H
#define SPAWN_ENDPOINT_H

#include "module/perl_runner.h"

/** The configuration is read anew: no endpoint until child_init. */
void spawn_endpoint_reset(void);

/** Hook child_init. */
void spawn_endpoint_child_init(apr_pool_t *p, server_rec *s);

/* As in perl_runner.h. */
const spawn_child_endpoint *spawn_child_endpoint_get(void);
uint32_t spawn_submit_timeout_ms(server_rec *s);

#endif
