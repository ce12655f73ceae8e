/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_spool.h
 * @brief Names in the spool, which the module writes and the broker reads, and
 * the size of what may come to lie there.
 */
#ifndef SPAWN_SPOOL_H
#define SPAWN_SPOOL_H

#include "common/spawn_proto.h"

/** The directory, in the store. A file in it has a job's id for a name. */
#define SPAWN_SPOOL_DIR "spool"

/** What a name starts with as long as the file is being written. */
#define SPAWN_SPOOL_UNFINISHED "new-"

/** What the name of a file ends with that the broker could not understand. */
#define SPAWN_SPOOL_BAD ".bad"

/** Most bytes of a job for after the answer as it is registered: what is added
 * at the end of the request finds room up to SPAWN_SUBMIT_MAX. */
#define SPAWN_CLEANUP_MAX (SPAWN_SUBMIT_MAX - 32768)

/** Most bytes of its context then. */
#define SPAWN_CLEANUP_CONTEXT_MAX 8192

#endif
