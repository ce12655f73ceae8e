/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sql.h
 * @brief The store's database, for the files of this folder: statements,
 * transactions.
 */
#ifndef SPAWN_BROKER_STORE_SQL_H
#define SPAWN_BROKER_STORE_SQL_H

#include <stddef.h>

#include "broker/store/parts.h"

/** A statement of a file: where in the store it is, and its text. */
typedef struct {
    size_t at; /* offsetof */
    const char *sql;
} spawn_statement;

/** Make the statements of a file. 0, or -1 with the reason in
 * sqlite3_errmsg. */
int spawn_sql_prepare(spawn_store *store, const spawn_statement *all,
                      size_t count);
/** The same, undone; they are NULL afterwards. */
void spawn_sql_finish(spawn_store *store, const spawn_statement *all,
                      size_t count);

/** It can be used again. */
void spawn_sql_reset(sqlite3_stmt *s);
/** Run one that gives no row. 0 or -1. */
int spawn_sql_step(sqlite3_stmt *s);
/** The number that one gives; 0: none. */
int64_t spawn_sql_number(sqlite3_stmt *s);

/** A transaction: 0 or -1 each; after a -1 only rollback may follow. */
int spawn_sql_begin(spawn_store *store);
int spawn_sql_commit(spawn_store *store);
void spawn_sql_rollback(spawn_store *store);
/** Has the last commit failed because the disk has no room for its pages? */
bool spawn_sql_outgrown(const spawn_store *store);

/** Prepare and finish the statements of each file. 0 or -1. */
int spawn_sql_prepare_transactions(spawn_store *store);
int spawn_store_prepare_write(spawn_store *store);
int spawn_store_prepare_read(spawn_store *store);
int spawn_store_prepare_history(spawn_store *store);
int spawn_store_prepare_room(spawn_store *store);
int spawn_store_prepare_grace(spawn_store *store);
int spawn_store_prepare_cron(spawn_store *store);
int spawn_store_prepare_control(spawn_store *store);
int spawn_store_prepare_share(spawn_store *store);
int spawn_store_prepare_attempts(spawn_store *store);
int spawn_store_prepare_order(spawn_store *store);
int spawn_store_prepare_look(spawn_store *store);
int spawn_store_prepare_dead(spawn_store *store);
int spawn_store_prepare_list(spawn_store *store);
void spawn_sql_finish_transactions(spawn_store *store);
void spawn_store_finish_write(spawn_store *store);
void spawn_store_finish_read(spawn_store *store);
void spawn_store_finish_history(spawn_store *store);
void spawn_store_finish_room(spawn_store *store);
void spawn_store_finish_grace(spawn_store *store);
void spawn_store_finish_cron(spawn_store *store);
void spawn_store_finish_control(spawn_store *store);
void spawn_store_finish_share(spawn_store *store);
void spawn_store_finish_attempts(spawn_store *store);
void spawn_store_finish_order(spawn_store *store);
void spawn_store_finish_look(spawn_store *store);
void spawn_store_finish_dead(spawn_store *store);
void spawn_store_finish_list(spawn_store *store);

#endif
