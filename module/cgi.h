/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cgi.h
 * @brief SPAWN_SOCKET in the environment of CGI scripts.
 *
 * Runs in httpd children, in the thread that works on the request.
 */
#ifndef SPAWN_CGI_H
#define SPAWN_CGI_H

#include "httpd.h"

/** Hook: fixups, after mod_env. */
int spawn_cgi_fixups(request_rec *r);

#endif
