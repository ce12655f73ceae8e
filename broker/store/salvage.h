/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file salvage.h
 * @brief The jobs that can still be read in a damaged store that was set aside.
 *
 * Runs in the broker, at its start.
 */
#ifndef SPAWN_BROKER_STORE_SALVAGE_H
#define SPAWN_BROKER_STORE_SALVAGE_H

#include <sqlite3.h>

#include "broker/job/job.h"

typedef struct {
    sqlite3 *db; /* NULL: there is none, or nothing of it can be read */
    sqlite3_stmt *by_index, *by_table;
    int64_t until;   /* mono ms: nothing is read after it */
    bool there;      /* a store was set aside, */
    bool unsalvaged; /* and what it had is not taken in yet */
} spawn_salvage;

/** A job as the damaged store has it. */
typedef struct {
    char queue[SPAWN_NAME_MAX + 1];
    char template[SPAWN_NAME_MAX + 1]; /* of a Perl job; "": its queue's */
    bool is_perl;
    unsigned fds;
    uint64_t digest;
    int64_t submitted_at;
    uid_t caller_uid;
    pid_t caller_pid;
    spawn_body *body; /* without data for stdin and arguments; malloc'd */
} spawn_salvaged;

/** Was one set aside, and what it had is not taken in yet? */
bool spawn_salvage_waits(const spawn_store *store);

/** Open the newest one that was set aside, if any. It is read for so long. */
void spawn_salvage_begin(spawn_store *store, int64_t most_ms,
                         spawn_salvage *ret);
void spawn_salvage_end(spawn_salvage *s);

/** False: it does not have the job, or not in a state that can be believed. */
bool spawn_salvage_job(spawn_salvage *s, const spawn_id *id,
                       spawn_salvaged *ret);

/** The jobs that were taken in are stored: an end that comes from now on is in
 * this store, or forgotten. Outside of a transaction; writes once in a broker's
 * life. */
void spawn_salvage_stored(spawn_store *store);

#endif
