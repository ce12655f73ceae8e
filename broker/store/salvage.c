/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs in a damaged store that was set aside: those that run still are to be
 * told as what they are. Runs in the broker, at its start.
 *
 * The file may have any bytes. So it is read only, each row for itself, nothing
 * of a row is believed before it was checked as a job that has come, and all of
 * it together takes as long as the caller has at most.
 */
#include "broker/store/salvage.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_check.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "broker/job/body.h"
#include "broker/store/parts.h"

#define LOOK 1000 /* steps of SQLite's machine between looks at the clock */
#define COLUMNS                                                                \
    "SELECT id, queue, digest, fds, submitted_at, caller_uid, caller_pid,"     \
    " template, body FROM job "

/* ---- the file ---- */

/* Their names have the time. */
static bool find_newest(const spawn_store *store, char *ret, size_t room)
{
    DIR *d = opendir(store->directory);
    const struct dirent *e;

    *ret = '\0';
    while (d && (e = readdir(d)) != NULL) {
        if (spawn_store_is_aside(e->d_name) && strlen(e->d_name) < room
            && strcmp(e->d_name, ret) > 0)
            (void)strcpy(ret, e->d_name);
    }
    if (d)
        (void)closedir(d);
    return *ret != '\0';
}

/* As a URI, since only that says that nobody changes it: no lock, no log. */
static bool make_uri(const spawn_store *store, const char *name, char *room,
                     size_t size)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    char path[PATH_MAX];
    size_t used = (size_t)snprintf(room, size, "file:");
    const char *p;
    int n = snprintf(path, sizeof(path), "%s/%s", store->directory, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return false;
    for (p = path; *p; p++)
        used += (size_t)snprintf(room + used, size - used,
                                 strchr(safe, *p) ? "%c" : "%%%02x",
                                 (unsigned char)*p);
    (void)snprintf(room + used, size - used, "?immutable=1");
    return true;
}

/* Not zero ends the statement. */
static int is_too_late(void *of)
{
    const spawn_salvage *s = of;

    return spawn_mono_ms() >= s->until;
}

/* A broker may be killed after it has set one aside. So each new store says
 * this of itself, until the first jobs are in it. */
static bool is_unsalvaged(const spawn_store *store)
{
    sqlite3_stmt *s;
    bool is;

    if (sqlite3_prepare_v2(
            store->db, "SELECT 1 FROM meta WHERE key = '" SPAWN_UNSALVAGED "'",
            -1, &s, NULL)
        != SQLITE_OK)
        return false;
    is = sqlite3_step(s) == SQLITE_ROW;
    (void)sqlite3_finalize(s);
    return is;
}

void spawn_salvage_stored(spawn_store *store)
{
    if (!store->salvaged)
        store->salvaged =
            sqlite3_exec(store->db,
                         "DELETE FROM meta WHERE key = '" SPAWN_UNSALVAGED "'",
                         NULL, NULL, NULL)
            == SQLITE_OK;
}

bool spawn_salvage_waits(const spawn_store *store)
{
    char name[256];

    return is_unsalvaged(store) && find_newest(store, name, sizeof(name));
}

void spawn_salvage_begin(spawn_store *store, int64_t most_ms,
                         spawn_salvage *ret)
{
    char name[256], uri[3 * PATH_MAX + 32];

    memset(ret, 0, sizeof(*ret));
    ret->there = find_newest(store, name, sizeof(name));
    ret->unsalvaged = ret->there && is_unsalvaged(store);
    if (!ret->there || !make_uri(store, name, uri, sizeof(uri)))
        return;
    ret->until = spawn_mono_ms() + most_ms;
    if (sqlite3_open_v2(
            uri, &ret->db,
            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL)
        != SQLITE_OK)
        return;
    (void)sqlite3_limit(ret->db, SQLITE_LIMIT_LENGTH,
                        (int)spawn_message_max(SPAWN_M_SUBMIT));
    sqlite3_progress_handler(ret->db, LOOK, is_too_late, ret);
    (void)sqlite3_exec(ret->db,
                       "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;"
                       "PRAGMA mmap_size=0; PRAGMA cache_size=-512",
                       NULL, NULL, NULL);
    if (sqlite3_prepare_v2(ret->db, COLUMNS "WHERE id = ?1", -1, &ret->by_index,
                           NULL)
        == SQLITE_OK)
        (void)sqlite3_prepare_v2(ret->db,
                                 COLUMNS "NOT INDEXED WHERE id = ?1"
                                         " ORDER BY seq DESC",
                                 -1, &ret->by_table, NULL);
}

void spawn_salvage_end(spawn_salvage *s)
{
    (void)sqlite3_finalize(s->by_index);
    (void)sqlite3_finalize(s->by_table);
    (void)sqlite3_close(s->db);
    if (s->db)
        spawn_store_damage_over(); /* SQLite has told of that of this file */
    memset(s, 0, sizeof(*s));
}

/* ---- a row ---- */

static bool get_name(sqlite3_stmt *s, int column, char *ret)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    if (!text || !spawn_queue_name_ok(text))
        return false;
    (void)strcpy(ret, text);
    return true;
}

/* As when it came, but what stdin reads stands beside it. */
static bool body_is_good(const spawn_id *id, const spawn_salvaged *row,
                         const void *data, size_t length)
{
    const uint8_t nothing[1] = {0};
    spawn_message m;
    spawn_id is;

    if (spawn_body_parse(data, length, SPAWN_M_SUBMIT, row->fds, &m, NULL))
        return false;
    spawn_attr_id(&m.attr[SPAWN_A_ID], &is);
    m.attr[SPAWN_A_STDIN_DATA] =
        (spawn_attr){.id = SPAWN_A_STDIN_DATA, .data = nothing};
    return spawn_id_equal(&is, id) && spawn_job_check(&m, NULL) == 0
           && spawn_has(&m, SPAWN_A_FUNCTION) == row->is_perl;
}

static bool take_row(sqlite3_stmt *s, const spawn_id *id, spawn_salvaged *ret)
{
    const void *is = sqlite3_column_blob(s, 0), *body;
    int64_t fds = sqlite3_column_int64(s, 3), now = spawn_wall_ms();
    size_t length;

    memset(ret, 0, sizeof(*ret));
    if (!is || sqlite3_column_bytes(s, 0) != SPAWN_ID_SIZE
        || memcmp(is, id->bytes, SPAWN_ID_SIZE) != 0 || fds < 0
        || fds > SPAWN_FDS_MAX || !get_name(s, 1, ret->queue))
        return false;
    ret->is_perl = sqlite3_column_type(s, 7) != SQLITE_NULL;
    if (ret->is_perl && sqlite3_column_bytes(s, 7) > 0
        && !get_name(s, 7, ret->template))
        return false;
    ret->fds = (unsigned)fds;
    ret->digest = (uint64_t)sqlite3_column_int64(s, 2);
    ret->submitted_at = sqlite3_column_int64(s, 4);
    if (ret->submitted_at <= 0 || ret->submitted_at > now)
        ret->submitted_at = now;
    ret->caller_uid = (uid_t)sqlite3_column_int64(s, 5);
    ret->caller_pid = (pid_t)sqlite3_column_int64(s, 6);
    body = sqlite3_column_blob(s, 8);
    length = (size_t)sqlite3_column_bytes(s, 8);
    if (!body || !body_is_good(id, ret, body, length))
        return false;
    ret->body = spawn_body_room(length, 0, 0);
    if (ret->body)
        memcpy(ret->body->data, body, length);
    return ret->body != NULL;
}

static bool look(sqlite3_stmt *s, const spawn_id *id, spawn_salvaged *ret)
{
    bool found = false;

    if (!s)
        return false;
    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    while (!found && sqlite3_step(s) == SQLITE_ROW)
        found = take_row(s, id, ret);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return found;
}

/* The index may be what is damaged, so the table itself is looked through. */
bool spawn_salvage_job(spawn_salvage *s, const spawn_id *id,
                       spawn_salvaged *ret)
{
    return s->db && spawn_mono_ms() < s->until
           && (look(s->by_index, id, ret) || look(s->by_table, id, ret));
}
