/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_spool.h
 * @brief Names in the spool, which the module writes and the broker reads, and
 * the most bytes of a file.
 */
#ifndef SPAWN_SPOOL_H
#define SPAWN_SPOOL_H

#include "common/spawn_proto.h"

/** The directory, in the store. A file in it has a job's id for a name. */
#define SPAWN_SPOOL_DIR "spool"

/** The beginning of a file's name while it is being written. */
#define SPAWN_SPOOL_UNFINISHED "new-"

/** The end of the name of a file that the broker could not understand. */
#define SPAWN_SPOOL_BAD ".bad"

/** Most bytes of all files together, of which each counts in whole pages: so
 * there are at most 16384. About: a writer looks once a second. */
#define SPAWN_SPOOL_MOST (64u << 20)
#define SPAWN_SPOOL_PAGE 4096u

/** Most bytes of a job for after the answer when it is registered: the rest up
 * to SPAWN_SUBMIT_MAX is for what the end of the request adds. */
#define SPAWN_CLEANUP_MAX (SPAWN_SUBMIT_MAX - 32768)

/** Most bytes of its context then. */
#define SPAWN_CLEANUP_CONTEXT_MAX 8192

#endif
