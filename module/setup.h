/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file setup.h
 * @brief One reading of the configuration, as the talk with the pair needs it.
 *
 * Runs in the httpd parent.
 */
#ifndef SPAWN_SETUP_H
#define SPAWN_SETUP_H

#include "module/account.h"
#include "module/config.h"
#include "module/retained.h"

/** One reading of the configuration; lives in pconf. */
typedef struct {
    apr_pool_t *p;
    server_rec *s;
    const spawn_server_config *conf;
    const spawn_account *account; /* of httpd's children */
    const spawn_account *owner;   /* of broker, store and socket's directory */
    spawn_retained *r;
} spawn_setup;

#endif
