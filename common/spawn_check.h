/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_check.h
 * @brief The check of a job's values.
 *
 * The client checks before it sends, so that a handler gets a clear error; the
 * broker checks again, since a sender may lie.
 */
#ifndef SPAWN_CHECK_H
#define SPAWN_CHECK_H

#include "common/spawn_proto.h"

/**
 * Check the values of a SUBMIT or POST that spawn_message_parse has taken
 * apart. Any process.
 * @return 0, or -EINVAL, -EMSGSIZE with why filled (INVALID, TOO_BIG; the text
 * names the field, says what is wrong and what is allowed).
 */
int spawn_job_check(const spawn_message *m, spawn_failure *why);

#endif
