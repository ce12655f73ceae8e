/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the store: known ids, orders, answers about jobs. Runs in the broker.
 * The values were checked before they were stored, but a file can be damaged:
 * lengths must be checked again.
 */
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "broker/job/body.h"
#include "broker/job/job.h"
#include "broker/job/rules.h"
#include "broker/process/perl.h"
#include "broker/store/attempts.h"
#include "broker/store/job_message.h"
#include "broker/store/row.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, read.name)
static const spawn_statement all[] = {
    {AT(find), "SELECT seq, state, digest, attempt FROM job WHERE id = ?1"},
    {AT(order), "SELECT body, data, args FROM job LEFT JOIN input"
                " ON input.seq = job.seq WHERE job.seq = ?1"},
    {AT(answer), SPAWN_ROW_COLUMNS "WHERE id = ?1"},
    {AT(dead), "SELECT seq, queue, digest, submitted_at, template, attempt,"
               " dead, priority, unique_key, unique_until, unique_boot,"
               " caller_uid, caller_pid FROM job WHERE id = ?1"},
    {AT(output), "SELECT out, err, out_lost, err_lost, result, out_cut,"
                 " err_cut, result_cut FROM output WHERE seq = ?1"},
    {AT(open), "SELECT seq, id, state, queue, digest, fds, cancel,"
               " submitted_at, started_at, boot_started, pid, instance,"
               " template, due_at, due_boot, expires_at, expires_boot,"
               " attempt, retries, priority, unique_key, unique_until,"
               " unique_boot, needs, attempt > round, caller_uid, caller_pid"
               " FROM job WHERE state < 4 ORDER BY seq"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_read(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_read(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

static bool get_id(sqlite3_stmt *s, int column, spawn_id *ret)
{
    const void *blob = sqlite3_column_blob(s, column);

    if (!blob || sqlite3_column_bytes(s, column) != SPAWN_ID_SIZE)
        return false;
    memcpy(ret->bytes, blob, SPAWN_ID_SIZE);
    return true;
}

void spawn_row_bind_now(sqlite3_stmt *s)
{
    (void)sqlite3_bind_int64(s, 8, spawn_wall_ms());
    (void)sqlite3_bind_int64(s, 9, spawn_boot_ms());
}

static int found(int rv)
{
    return rv == SQLITE_ROW ? 1 : rv == SQLITE_DONE ? 0 : -1;
}

int spawn_store_find(spawn_store *store, const spawn_id *id, spawn_known *ret)
{
    sqlite3_stmt *s = store->read.find;
    int rv;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    rv = found(sqlite3_step(s));
    if (rv == 1) {
        ret->id = *id;
        ret->seq = sqlite3_column_int64(s, 0);
        ret->state = (spawn_state)sqlite3_column_int(s, 1);
        ret->digest = (uint64_t)sqlite3_column_int64(s, 2);
        ret->attempt = (unsigned)sqlite3_column_int(s, 3);
    }
    spawn_sql_reset(s);
    return rv;
}

static int why_no_body(int code)
{
    code &= 0xff;
    return code == SQLITE_DONE || code == SQLITE_CORRUPT
                   || code == SQLITE_NOTADB
               ? -ENODATA
               : -EIO;
}

static int copy_body(sqlite3_stmt *s, spawn_body **ret)
{
    bool some = sqlite3_column_type(s, 0) != SQLITE_NULL;
    const void *data = sqlite3_column_blob(s, 0);
    const void *input = sqlite3_column_blob(s, 1);
    const void *args = sqlite3_column_blob(s, 2);
    int length = sqlite3_column_bytes(s, 0);
    int input_length = input ? sqlite3_column_bytes(s, 1) : 0;
    int args_length = args ? sqlite3_column_bytes(s, 2) : 0;
    spawn_body *body = NULL;

    if (data)
        body = spawn_body_room((size_t)length, (size_t)input_length,
                               (size_t)args_length);
    if (!body)
        return some ? -EIO : -ENODATA;
    memcpy(body->data, data, (size_t)length);
    if (input_length)
        memcpy(body->input, input, (size_t)input_length);
    if (args_length)
        memcpy(body->args, args, (size_t)args_length);
    *ret = body;
    return 0;
}

int spawn_store_read_body(const spawn_job *job, spawn_body **ret)
{
    sqlite3_stmt *s = job->batch->store->read.order;
    int rv;

    (void)sqlite3_bind_int64(s, 1, job->seq);
    rv = sqlite3_step(s);
    rv = rv == SQLITE_ROW ? copy_body(s, ret) : why_no_body(rv);
    spawn_sql_reset(s);
    return rv;
}

spawn_body *spawn_store_body(const spawn_job *job)
{
    spawn_body *body = NULL;

    return spawn_store_read_body(job, &body) == 0 ? body : NULL;
}

const char *spawn_store_name(const spawn_job *job, char *name)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);

    (void)spawn_body_name(job, job->body ? job->body : read, name);
    free(read);
    return name;
}

/* ---- answers ---- */

/* Columns of SPAWN_ROW_COLUMNS that go into the message as they are. */
static const struct {
    uint8_t column;
    uint8_t attr;
} numbers[] = {{0, SPAWN_A_SEQ},         {2, SPAWN_A_STATE},
               {5, SPAWN_A_PID},         {6, SPAWN_A_OUTCOME},
               {7, SPAWN_A_EXIT_CODE},   {8, SPAWN_A_SIGNAL},
               {9, SPAWN_A_CORE},        {10, SPAWN_A_STEP},
               {11, SPAWN_A_ERRNO},      {13, SPAWN_A_SUBMITTED_AT},
               {14, SPAWN_A_STARTED_AT}, {15, SPAWN_A_ENDED_AT},
               {16, SPAWN_A_ELAPSED},    {20, SPAWN_A_RESULT_KIND},
               {21, SPAWN_A_HANDLES},    {22, SPAWN_A_DUE_AT},
               {23, SPAWN_A_EXPIRES_AT}, {24, SPAWN_A_ATTEMPT},
               {25, SPAWN_A_DEAD}};

static void put_order(sqlite3_stmt *s, const spawn_row_parts *parts,
                      spawn_writer *w)
{
    const void *body = sqlite3_column_blob(s, 4);

    if (body)
        spawn_answer_order(body, (size_t)sqlite3_column_bytes(s, 4),
                           parts->argv_most, parts->rules, w);
}

/* Of a Perl job that has ended. */
static void put_result(sqlite3_stmt *s, spawn_writer *w)
{
    if (sqlite3_column_type(s, 4) != SQLITE_NULL)
        spawn_put_bytes(w, SPAWN_A_RESULT, sqlite3_column_blob(s, 4),
                        (size_t)sqlite3_column_bytes(s, 4));
}

/* How much is left out, if anything. */
static void put_cut(sqlite3_stmt *s, spawn_writer *w)
{
    uint64_t cut[SPAWN_CUT_COUNT], sum = 0;
    int i;

    for (i = 0; i < SPAWN_CUT_COUNT; i++) {
        cut[i] = (uint64_t)sqlite3_column_int64(s, 5 + i);
        sum |= cut[i];
    }
    if (sum)
        spawn_put_u64v(w, SPAWN_A_CUT, cut, SPAWN_CUT_COUNT);
}

static void put_output(spawn_store *store, int64_t seq, spawn_writer *w)
{
    sqlite3_stmt *s = store->read.output;
    int i;

    (void)sqlite3_bind_int64(s, 1, seq);
    if (sqlite3_step(s) == SQLITE_ROW) {
        for (i = 0; i < 2; i++) {
            int64_t lost = sqlite3_column_int64(s, 2 + i);

            if (sqlite3_column_type(s, i) == SQLITE_NULL)
                continue;
            spawn_put_bytes(w, i ? SPAWN_A_ERR : SPAWN_A_OUT,
                            sqlite3_column_blob(s, i),
                            (size_t)sqlite3_column_bytes(s, i));
            if (lost)
                spawn_put_u64(w, i ? SPAWN_A_ERR_LOST : SPAWN_A_OUT_LOST,
                              (uint64_t)lost);
        }
        put_result(s, w);
        put_cut(s, w);
    }
    spawn_sql_reset(s);
}

/* The last progress of a Perl job: from its board while it runs, afterwards as
 * it was at its end. */
static void put_progress(sqlite3_stmt *s, const spawn_id *id, spawn_writer *w)
{
    const spawn_job *job = spawn_job_find(id);
    const void *stored = sqlite3_column_blob(s, 19);
    spawn_progress p;

    if (stored && (size_t)sqlite3_column_bytes(s, 19) == sizeof(p))
        memcpy(&p, stored, sizeof(p));
    else if (!job || !spawn_perl_progress(job, &p))
        return;
    spawn_answer_progress(&p, w);
}

/* A job that came back to its queue waits there, also when that could not be
 * stored: the process that the row names has gone. */
static bool waits_again(sqlite3_stmt *s, const spawn_id *id)
{
    const spawn_job *job = spawn_job_find(id);

    return job && job->state == SPAWN_STATE_QUEUED
           && sqlite3_column_int64(s, 2) != SPAWN_STATE_QUEUED
           && sqlite3_column_int64(s, 2) != SPAWN_STATE_DELAYED;
}

static void put_numbers(sqlite3_stmt *s, const spawn_id *id, spawn_writer *w)
{
    bool again = waits_again(s, id);
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t value = (uint64_t)sqlite3_column_int64(s, numbers[i].column);

        if (again && numbers[i].attr == SPAWN_A_STATE)
            value = SPAWN_STATE_QUEUED;
        if (sqlite3_column_type(s, numbers[i].column) != SQLITE_NULL
            && !(again && numbers[i].attr == SPAWN_A_PID))
            spawn_put_u64(w, numbers[i].attr, value);
    }
}

static void put_so_far(const spawn_id *id, const uint64_t *from,
                       spawn_writer *w)
{
    const spawn_job *job = spawn_job_find(id);

    if (job)
        spawn_answer_so_far(job, from, w);
}

int spawn_row_put(spawn_store *store, sqlite3_stmt *s,
                  const spawn_row_parts *parts, uint32_t asked, spawn_writer *w)
{
    const char *queue = (const char *)sqlite3_column_text(s, 3);
    const char *text = (const char *)sqlite3_column_text(s, 12);
    const void *usage_blob;
    spawn_id id;

    if (!queue || !get_id(s, 1, &id))
        return -1;
    spawn_writer_begin(w, SPAWN_M_JOB, asked);
    spawn_put_id(w, SPAWN_A_ID, &id);
    spawn_put_str(w, SPAWN_A_QUEUE, queue);
    put_numbers(s, &id, w);
    if (text)
        spawn_put_str(w, SPAWN_A_TEXT, text);
    usage_blob = sqlite3_column_blob(s, 17); /* NULL: an empty one too */
    if (usage_blob) {
        uint64_t usage[SPAWN_RU_ALL] = {0};
        size_t length = (size_t)sqlite3_column_bytes(s, 17);

        if (length > sizeof(usage))
            length = sizeof(usage);
        memcpy(usage, usage_blob, length);
        spawn_put_u64v(w, SPAWN_A_RUSAGE, usage,
                       (uint32_t)(length / sizeof(usage[0])));
    }
    put_order(s, parts, w);
    if (sqlite3_column_type(s, 18) != SQLITE_NULL)
        put_progress(s, &id, w);
    if (parts->output)
        put_output(store, sqlite3_column_int64(s, 0), w);
    if (parts->from && sqlite3_column_int64(s, 2) == SPAWN_STATE_RUNNING)
        put_so_far(&id, parts->from, w);
    if (parts->attempts && sqlite3_column_type(s, 24) != SQLITE_NULL)
        spawn_store_put_attempts(store, sqlite3_column_int64(s, 0),
                                 parts->output, w);
    (void)spawn_writer_finish(w, 0);
    return 1;
}

int spawn_store_answer(spawn_store *store, const spawn_id *id, bool with_output,
                       const uint64_t *from, uint32_t asked, spawn_writer *w)
{
    const spawn_row_parts parts = {SIZE_MAX, with_output, true, true, from};
    sqlite3_stmt *s = store->read.answer;
    int rv;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    spawn_row_bind_now(s);
    rv = found(sqlite3_step(s));
    if (rv == 1)
        rv = spawn_row_put(store, s, &parts, asked, w);
    spawn_sql_reset(s);
    return rv;
}

/* ---- jobs that are dead ---- */

static void copy_text(sqlite3_stmt *s, int column, char *ret, size_t room)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    (void)snprintf(ret, room, "%s", text ? text : "");
}

static void get_moment(sqlite3_stmt *s, int column, spawn_moment *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->wall = sqlite3_column_int64(s, column);
    ret->boot = sqlite3_column_int64(s, column + 1);
}

int spawn_store_dead(spawn_store *store, const spawn_id *id,
                     spawn_dead_row *ret)
{
    sqlite3_stmt *s = store->read.dead;
    int rv;

    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    rv = found(sqlite3_step(s));
    if (rv == 1) {
        ret->seq = sqlite3_column_int64(s, 0);
        copy_text(s, 1, ret->queue, sizeof(ret->queue));
        ret->digest = (uint64_t)sqlite3_column_int64(s, 2);
        ret->submitted_at = sqlite3_column_int64(s, 3);
        ret->is_perl = sqlite3_column_type(s, 4) != SQLITE_NULL;
        copy_text(s, 4, ret->template, sizeof(ret->template));
        ret->attempt = (unsigned)sqlite3_column_int(s, 5);
        ret->dead = sqlite3_column_int(s, 6) == 1;
        ret->priority = sqlite3_column_int(s, 7);
        copy_text(s, 8, ret->unique, sizeof(ret->unique));
        get_moment(s, 9, &ret->unique_until);
        ret->caller_uid = (uid_t)sqlite3_column_int64(s, 11);
        ret->caller_pid = (pid_t)sqlite3_column_int64(s, 12);
    }
    spawn_sql_reset(s);
    return rv;
}

/* ---- recovery ---- */

int spawn_store_open_jobs(spawn_batch *batch,
                          void (*row)(spawn_batch *batch,
                                      const spawn_open_row *r))
{
    sqlite3_stmt *s = batch->store->read.open;
    spawn_open_row r;
    int rv;

    while ((rv = sqlite3_step(s)) == SQLITE_ROW) {
        memset(&r, 0, sizeof(r));
        r.seq = sqlite3_column_int64(s, 0);
        r.state = (spawn_state)sqlite3_column_int(s, 2);
        r.queue = (const char *)sqlite3_column_text(s, 3);
        r.digest = (uint64_t)sqlite3_column_int64(s, 4);
        r.fds = (unsigned)sqlite3_column_int(s, 5);
        r.cancel = (unsigned)sqlite3_column_int(s, 6);
        r.submitted_at = sqlite3_column_int64(s, 7);
        r.started_at = sqlite3_column_int64(s, 8);
        r.boot_started = sqlite3_column_int64(s, 9);
        r.pid = (pid_t)sqlite3_column_int64(s, 10);
        (void)get_id(s, 11, &r.life);
        r.template = (const char *)sqlite3_column_text(s, 12);
        get_moment(s, 13, &r.due);
        get_moment(s, 15, &r.expires);
        r.attempt = (unsigned)sqlite3_column_int(s, 17);
        r.retries = sqlite3_column_int(s, 18);
        r.priority = sqlite3_column_int(s, 19);
        r.unique = (const char *)sqlite3_column_text(s, 20);
        r.has_key = r.unique && sqlite3_column_type(s, 21) != SQLITE_NULL;
        get_moment(s, 21, &r.unique_until);
        r.needs = (unsigned)sqlite3_column_int(s, 23);
        r.has_begun = sqlite3_column_int(s, 24) != 0;
        r.caller_uid = (uid_t)sqlite3_column_int64(s, 25);
        r.caller_pid = (pid_t)sqlite3_column_int64(s, 26);
        if (r.queue && get_id(s, 1, &r.id))
            row(batch, &r);
    }
    spawn_sql_reset(s);
    return rv == SQLITE_DONE ? 0 : -1;
}
