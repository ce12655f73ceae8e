/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sql.h
 * @brief The store's database, for the files of this folder: statements,
 * transactions.
 */
#ifndef SPAWN_BROKER_STORE_SQL_H
#define SPAWN_BROKER_STORE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A statement of a file, and its text. */
typedef struct {
    sqlite3_stmt **statement;
    const char *sql;
} spawn_statement;

/** The open database, or NULL. store/open.c alone writes it. */
extern sqlite3 *spawn_db;

/** Make the statements of a file. 0, or -1 with the reason in
 * sqlite3_errmsg. */
int spawn_sql_prepare(const spawn_statement *all, size_t count);
/** The same, undone; they are NULL afterwards. */
void spawn_sql_finish(const spawn_statement *all, size_t count);

/** It can be used again. */
void spawn_sql_reset(sqlite3_stmt *s);
/** Run one that gives no row. 0 or -1. */
int spawn_sql_step(sqlite3_stmt *s);
/** The number that one gives; 0: none. */
int64_t spawn_sql_number(sqlite3_stmt *s);

/** A transaction: 0 or -1 each; after a -1 only rollback may follow. */
int spawn_sql_begin(void);
int spawn_sql_commit(void);
void spawn_sql_rollback(void);
/** Has the last commit failed since the disk has no room for its pages? */
bool spawn_sql_outgrown(void);

/** Prepare and finish the statements of each file. 0 or -1. */
int spawn_sql_prepare_transactions(void);
int spawn_store_prepare_write(void);
int spawn_store_prepare_read(void);
int spawn_store_prepare_history(void);
int spawn_store_prepare_room(void);
void spawn_sql_finish_transactions(void);
void spawn_store_finish_write(void);
void spawn_store_finish_read(void);
void spawn_store_finish_history(void);
void spawn_store_finish_room(void);

#endif
