/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file token.h
 * @brief Proof that a form was made by this httpd, for this visitor, this act
 * and this target, and not long ago: another site can have a browser send a
 * form, but cannot have it read one.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_TOKEN_H
#define SPAWN_STATUS_TOKEN_H

#include "module/module.h"

/** @return NULL when this process has no secret: httpd is just starting. */
const char *spawn_token_make(request_rec *r, const char *act,
                             const char *target);

/** Is it such a token, and not too old? */
bool spawn_token_good(request_rec *r, const char *act, const char *target,
                      const char *token);

#endif
