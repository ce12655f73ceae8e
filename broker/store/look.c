/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look at a big store that another boot has written. Runs in the broker.
 * Must not keep httpd from starting, nor a turn from ending.
 *
 * Where the power was cut, pages of different moments are in the store. A small
 * one is compared as a whole before it is used (open.c). Of a big one this
 * would take longer than httpd waits: so only what recovery reads is compared
 * at once, which jobs are open, and the jobs with their indexes afterwards, one
 * after another. A broker after this one goes on where it stopped.
 */
#include "broker/store/look.h"

#include "common/spawn_os.h"
#include "broker/store/sql.h"

#define SLICE_MS 5
#define FROM     "look_from" /* in meta: while it is looked at */

#define AT(name) offsetof(spawn_store, look.name)
static const spawn_statement all[] = {
    {AT(from), "SELECT value FROM meta WHERE key = '" FROM "'"},
    {AT(note), "INSERT OR REPLACE INTO meta VALUES('" FROM "', ?1)"},
    {AT(over), "DELETE FROM meta WHERE key = '" FROM "'"},
    {AT(next), "SELECT seq, id, state, end_seq, ended_at, dead = 1,"
               " " SPAWN_FAILED " FROM job NOT INDEXED"
               " WHERE seq > ?1 ORDER BY seq LIMIT 1"},
    {AT(by_id), "SELECT seq FROM job INDEXED BY sqlite_autoindex_job_1"
                " WHERE id = ?1"},
    {AT(open), "SELECT seq FROM job INDEXED BY job_open"
               " WHERE state < 4 AND seq = ?1"},
    {AT(ended), "SELECT seq FROM job INDEXED BY job_end_seq"
                " WHERE state = 4 AND end_seq = ?1 AND seq = ?2"},
    {AT(aged), "SELECT seq FROM job INDEXED BY job_ended"
               " WHERE state = 4 AND ended_at = ?1 AND seq = ?2"},
    {AT(dead), "SELECT seq FROM job INDEXED BY job_dead"
               " WHERE dead = 1 AND seq = ?1"},
    {AT(all_open), "SELECT seq FROM job INDEXED BY job_open WHERE state < 4"},
    {AT(state), "SELECT state FROM job NOT INDEXED WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))
#define BY_FAILED                                                              \
    "SELECT seq FROM job INDEXED BY job_failed"                                \
    " WHERE " SPAWN_FAILED " AND seq = ?1"

int spawn_store_prepare_look(spawn_store *store)
{
    if (spawn_sql_prepare(store, all, STATEMENTS))
        return -1;
    store->look.on = sqlite3_step(store->look.from) == SQLITE_ROW;
    store->look.seq =
        store->look.on ? sqlite3_column_int64(store->look.from, 0) : 0;
    spawn_sql_reset(store->look.from);
    (void)sqlite3_prepare_v3(store->db, BY_FAILED, -1,
                             SQLITE_PREPARE_PERSISTENT, &store->look.failed,
                             NULL);
    return 0;
}

void spawn_store_finish_look(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
    (void)sqlite3_finalize(store->look.failed);
    store->look.failed = NULL;
}

/* The result of a look. A disk or memory that fails is not damage. */
typedef enum {
    GOOD,
    NO_MORE,
    DAMAGE,
    TROUBLE
} finding;

static finding of_error(int rv)
{
    return rv == SQLITE_CORRUPT || rv == SQLITE_NOTADB ? DAMAGE : TROUBLE;
}

/* A job that the index has as open is open. (A job that the index lacks is
 * found later.) */
static finding check_open(spawn_part_look *l)
{
    finding is = GOOD;
    int rv;

    while (is == GOOD && (rv = sqlite3_step(l->all_open)) == SQLITE_ROW) {
        (void)sqlite3_bind_int64(l->state, 1,
                                 sqlite3_column_int64(l->all_open, 0));
        rv = sqlite3_step(l->state);
        if (rv != SQLITE_ROW && rv != SQLITE_DONE)
            is = of_error(rv);
        else if (rv == SQLITE_DONE || sqlite3_column_int(l->state, 0) >= 4)
            is = DAMAGE;
        spawn_sql_reset(l->state);
    }
    spawn_sql_reset(l->all_open);
    return is == GOOD && rv != SQLITE_DONE ? of_error(rv) : is;
}

int spawn_look_begin(spawn_store *store)
{
    spawn_part_look *l = &store->look;
    finding is = check_open(l);

    if (is != GOOD)
        return is == DAMAGE ? -1 : 1;
    l->on = true;
    l->seq = 0;
    (void)sqlite3_bind_int64(l->note, 1, 0);
    (void)spawn_sql_step(l->note); /* else a broker after us does not go on */
    return 0;
}

static finding has(sqlite3_stmt *s, int64_t seq)
{
    int rv = sqlite3_step(s);
    finding is = GOOD;

    if (rv != SQLITE_ROW && rv != SQLITE_DONE)
        is = of_error(rv);
    else if (rv == SQLITE_DONE || sqlite3_column_int64(s, 0) != seq)
        is = DAMAGE;
    spawn_sql_reset(s);
    return is;
}

/* The row that next is at is in each index that it belongs in: else it would be
 * found by nobody, or in no list, or never be old enough to go. */
static finding check_row(spawn_part_look *l, int64_t seq)
{
    const bool open = sqlite3_column_int(l->next, 2) < 4;
    finding is;

    (void)sqlite3_bind_blob(l->by_id, 1, sqlite3_column_blob(l->next, 1),
                            sqlite3_column_bytes(l->next, 1), SQLITE_STATIC);
    (void)sqlite3_bind_int64(l->open, 1, seq);
    (void)sqlite3_bind_int64(l->ended, 1, sqlite3_column_int64(l->next, 3));
    (void)sqlite3_bind_int64(l->ended, 2, seq);
    (void)sqlite3_bind_int64(l->aged, 1, sqlite3_column_int64(l->next, 4));
    (void)sqlite3_bind_int64(l->aged, 2, seq);
    (void)sqlite3_bind_int64(l->dead, 1, seq);
    if (l->failed)
        (void)sqlite3_bind_int64(l->failed, 1, seq);
    is = has(l->by_id, seq);
    if (is == GOOD)
        is = has(open ? l->open : l->ended, seq);
    if (is == GOOD && !open && sqlite3_column_type(l->next, 4) != SQLITE_NULL)
        is = has(l->aged, seq);
    if (is == GOOD && sqlite3_column_int(l->next, 5))
        is = has(l->dead, seq);
    if (is == GOOD && l->failed && sqlite3_column_int(l->next, 6))
        is = has(l->failed, seq);
    return is;
}

static finding look_at_next(spawn_part_look *l)
{
    finding is;
    int64_t seq;
    int rv;

    (void)sqlite3_bind_int64(l->next, 1, l->seq);
    rv = sqlite3_step(l->next);
    if (rv != SQLITE_ROW) {
        spawn_sql_reset(l->next);
        return rv == SQLITE_DONE ? NO_MORE : of_error(rv);
    }
    seq = sqlite3_column_int64(l->next, 0);
    is = check_row(l, seq);
    spawn_sql_reset(l->next);
    if (is == GOOD)
        l->seq = seq;
    return is;
}

bool spawn_look_on(spawn_store *store)
{
    spawn_part_look *l = &store->look;
    int64_t until = spawn_mono_ms() + SLICE_MS;
    finding is = GOOD;

    if (!l->on || !store->db)
        return false;
    while (is == GOOD && spawn_mono_ms() < until)
        is = look_at_next(l);
    if (is == TROUBLE) /* it goes on here at the next time */
        return false;
    if (is == GOOD) {
        (void)sqlite3_bind_int64(l->note, 1, l->seq);
        (void)spawn_sql_step(l->note);
        return true;
    }
    l->on = false;
    if (is == DAMAGE)
        spawn_store_say_damage();
    else
        (void)spawn_sql_step(l->over);
    return false;
}
