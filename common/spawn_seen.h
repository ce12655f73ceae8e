/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_seen.h
 * @brief A caller's view of a job, as one number: WATCH is answered when it is
 * another one.
 *
 * The same in the broker and in callers, and in all brokers: a caller goes on
 * with it at the next broker.
 */
#ifndef SPAWN_SEEN_H
#define SPAWN_SEEN_H

#include "common/spawn_proto.h"

/** @param progress done, of and text; NULL: none was told. */
uint64_t spawn_seen(unsigned state, uint64_t attempt,
                    const char *const *progress);

/** Of a JOB message. */
uint64_t spawn_seen_of(const spawn_message *job);

#endif
