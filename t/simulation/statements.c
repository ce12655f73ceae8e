/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of the store, in the broker: each is prepared when it is used
 * first. A broker prepares all that it has when it begins, and most lives are
 * over before it has used a third of them. With a schema that is read, to
 * prepare reads and writes nothing, so nobody can tell when it was done.
 */
#include <stdlib.h>

#include <sqlite3.h>

#include "t/simulation/world.h"

/* The names that --wrap gives. */
int __real_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int length,
                              unsigned flags, sqlite3_stmt **ret,
                              const char **rest);
int __wrap_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int length,
                              unsigned flags, sqlite3_stmt **ret,
                              const char **rest);
int __real_sqlite3_finalize(sqlite3_stmt *s);
int __wrap_sqlite3_finalize(sqlite3_stmt *s);
int __real_sqlite3_step(sqlite3_stmt *s);
int __wrap_sqlite3_step(sqlite3_stmt *s);

/* In the place of one. A statement of SQLite begins with its database. */
typedef struct {
    const void *mark;
    sqlite3 *db;
    const char *sql;
    unsigned flags;
    sqlite3_stmt *real;
} late;

static const char mark;

static sqlite3_stmt *real(sqlite3_stmt *s)
{
    late *l = (late *)(void *)s;

    if (!l || l->mark != &mark)
        return s;
    if (!l->real
        && __real_sqlite3_prepare_v3(l->db, l->sql, -1, l->flags, &l->real,
                                     NULL)
               != SQLITE_OK) {
        promise_broken("a statement cannot be prepared late: %s (%s)", l->sql,
                       sqlite3_errmsg(l->db));
        life_dies();
    }
    return l->real;
}

int __wrap_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int length,
                              unsigned flags, sqlite3_stmt **ret,
                              const char **rest)
{
    late *l;

    if (length != -1 || rest)
        return __real_sqlite3_prepare_v3(db, sql, length, flags, ret, rest);
    l = malloc(sizeof(*l));
    if (!l)
        return SQLITE_NOMEM;
    *l = (late){.mark = &mark, .db = db, .sql = sql, .flags = flags};
    *ret = (sqlite3_stmt *)(void *)l;
    return SQLITE_OK;
}

int __wrap_sqlite3_finalize(sqlite3_stmt *s)
{
    late *l = (late *)(void *)s;
    int rv;

    if (!l || l->mark != &mark)
        return __real_sqlite3_finalize(s);
    rv = __real_sqlite3_finalize(l->real);
    free(l);
    return rv;
}

/* A broker can be killed before and after a write. */
int __wrap_sqlite3_step(sqlite3_stmt *of)
{
    sqlite3_stmt *s = real(of);
    int rv;

    if (sqlite3_stmt_readonly(s))
        return __real_sqlite3_step(s);
    life_point();
    rv = __real_sqlite3_step(s);
    life_point();
    return rv;
}

/* ---- the others, which only need the real one ---- */

#define PASS_ON(result, name, more, ...)                                       \
    result __real_sqlite3_##name more;                                         \
    result __wrap_sqlite3_##name more;                                         \
    result __wrap_sqlite3_##name more                                          \
    {                                                                          \
        return __real_sqlite3_##name(real(s), __VA_ARGS__);                    \
    }
#define PASS(result, name)                                                     \
    result __real_sqlite3_##name(sqlite3_stmt *s);                             \
    result __wrap_sqlite3_##name(sqlite3_stmt *s);                             \
    result __wrap_sqlite3_##name(sqlite3_stmt *s)                              \
    {                                                                          \
        return __real_sqlite3_##name(real(s));                                 \
    }

typedef const unsigned char *text;
typedef const void *blob;

PASS(int, reset)
PASS(int, clear_bindings)
PASS_ON(int, bind_int, (sqlite3_stmt * s, int i, int n), i, n)
PASS_ON(int, bind_int64, (sqlite3_stmt * s, int i, sqlite3_int64 n), i, n)
PASS_ON(int, bind_zeroblob, (sqlite3_stmt * s, int i, int n), i, n)
PASS_ON(int, bind_text,
        (sqlite3_stmt * s, int i, const char *p, int n, void (*end)(void *)), i,
        p, n, end)
PASS_ON(int, bind_blob,
        (sqlite3_stmt * s, int i, const void *p, int n, void (*end)(void *)), i,
        p, n, end)
PASS_ON(int, bind_blob64,
        (sqlite3_stmt * s, int i, const void *p, sqlite3_uint64 n,
         void (*end)(void *)),
        i, p, n, end)
PASS_ON(int, column_int, (sqlite3_stmt * s, int i), i)
PASS_ON(sqlite3_int64, column_int64, (sqlite3_stmt * s, int i), i)
PASS_ON(int, column_type, (sqlite3_stmt * s, int i), i)
PASS_ON(int, column_bytes, (sqlite3_stmt * s, int i), i)
PASS_ON(text, column_text, (sqlite3_stmt * s, int i), i)
PASS_ON(blob, column_blob, (sqlite3_stmt * s, int i), i)
