/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file row.h
 * @brief A row of the table of jobs as a JOB message: for one that is asked
 * for by its id (read.c), and for those of a list (list.c).
 *
 * Runs in the broker.
 */
#ifndef SPAWN_BROKER_STORE_ROW_H
#define SPAWN_BROKER_STORE_ROW_H

#include <sqlite3.h>

#include "broker/store/store.h"

/** The state as it is told. ?8: the time of day, ?9: spawn_boot_ms
 * (spawn_row_bind_now). */
#define SPAWN_ROW_TOLD                                                         \
    "CASE WHEN state = 1 AND (due_boot > ?9"                                   \
    " OR (due_boot IS NULL AND due_at > ?8)) THEN 5 ELSE state END"
/** The columns that spawn_row_put wants; a WHERE may follow. */
#define SPAWN_ROW_COLUMNS                                                      \
    "SELECT seq, id, " SPAWN_ROW_TOLD ", queue, body, pid, outcome,"           \
    " exit_code, signal, core, step, errno, text, submitted_at, started_at,"   \
    " ended_at, elapsed, rusage, template, progress, result_kind,"             \
    " CASE WHEN state = 1 AND fds > 0 THEN fds END,"                           \
    " CASE WHEN state = 1 THEN ifnull(due_boot - ?9 + ?8, due_at) END,"        \
    " CASE WHEN state = 1 THEN ifnull(expires_boot - ?9 + ?8, expires_at)"     \
    " END, CASE WHEN attempt > 1 THEN attempt END,"                            \
    " CASE WHEN dead = 1 THEN 1 END FROM job "
#define SPAWN_ROW_BODY 4 /* the column */

void spawn_row_bind_now(sqlite3_stmt *s);

/** Which parts of it are told. */
typedef struct {
    size_t argv_most; /* bytes of its arguments; SIZE_MAX: all */
    bool output;
    bool rules;    /* that it brought */
    bool attempts; /* those before the present one, too */
    /* of one that runs: its output behind these bytes; NULL: none of it */
    const uint64_t *from;
} spawn_row_parts;

/** Write the message (begun and finished here). @return 1, or -1 when the row
 * is damaged. */
int spawn_row_put(spawn_store *store, sqlite3_stmt *s,
                  const spawn_row_parts *parts, uint32_t asked,
                  spawn_writer *w);

#endif
