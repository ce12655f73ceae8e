/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of a broker that is tested: what callers would have submitted can
 * be put into it before the broker starts, and it can be asked. For
 * broker_play.h.
 */
#ifndef BROKER_PLAY_STORE_H
#define BROKER_PLAY_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "common/spawn_wire.h"

#ifndef DEADLINE_MS
#define DEADLINE_MS 60000
#endif

static char dir[64];
static spawn_id life; /* of the spawner */

static inline sqlite3 *open_store(void)
{
    char path[128];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/jobs.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    /* a broker's closer of handles ends a moment after it, and locks it too */
    (void)sqlite3_busy_timeout(db, DEADLINE_MS);
    return db;
}

static inline void run_sql(const char *sql)
{
    sqlite3 *db = open_store();
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    (void)sqlite3_close(db);
}

/* The first column of the first row, as text. */
static inline const char *ask_sql(const char *sql)
{
    static char text[256];
    sqlite3 *db = open_store();
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    (void)snprintf(text, sizeof(text), "%s",
                   sqlite3_column_text(s, 0) != NULL
                       ? (const char *)sqlite3_column_text(s, 0)
                       : "");
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return text;
}

static inline void expect_sql(const char *sql, const char *wanted)
{
    assert_string_equal(ask_sql(sql), wanted);
}

/* The first page of a table or an index. All others can be read. */
static inline void damage_table(const char *table)
{
    char sql[128], name[300], bytes[4096];
    int fd, page;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT rootpage FROM sqlite_master WHERE name = '%s'",
                   table);
    page = atoi(ask_sql(sql));
    assert_true(page > 1);
    expect_sql("PRAGMA page_size", "4096");
    memset(bytes, 'x', sizeof(bytes));
    (void)snprintf(name, sizeof(name), "%s/jobs.db", dir);
    fd = open(name, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), (off_t)(page - 1) * 4096),
                     4096);
    (void)close(fd);
}

static inline void boot_is_this_one(void)
{
    char boot[37] = "", sql[128];

    (void)spawn_os_boot_id(boot);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT OR REPLACE INTO meta VALUES('boot_id', '%s')", boot);
    run_sql(sql);
}

static inline void begin_order(spawn_writer *w, const spawn_id *id)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
}

/* A job as it was accepted. */
static inline void put_order(const spawn_id *id, int state, spawn_writer *w)
{
    sqlite3 *db = open_store();
    sqlite3_stmt *s;

    assert_int_equal(spawn_writer_finish(w, 0), 0);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "INSERT INTO job(id, queue, state, digest, fds,"
                           " submitted_at, instance, body)"
                           " VALUES(?1, 'default', ?2, 1, 0, 1, ?3, ?4)",
                           -1, &s, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 2, state);
    (void)sqlite3_bind_blob(s, 3, life.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_blob(s, 4, w->data + SPAWN_WIRE_HEADER,
                            (int)(w->length - SPAWN_WIRE_HEADER),
                            SQLITE_STATIC);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    spawn_writer_free(w);
}

/* function NULL: the program true. */
static inline void put_job(const spawn_id *id, int state, const char *function)
{
    spawn_writer w;
    size_t mark;

    begin_order(&w, id);
    if (function) {
        spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    }
    else {
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
    }
    put_order(id, state, &w);
    if (function)
        run_sql("UPDATE job SET template = '' WHERE template IS NULL");
}

#endif
