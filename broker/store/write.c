/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to the store, one transaction a turn.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_log.h"
#include "broker/base/conf.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

static sqlite3_stmt *st_insert, *st_input, *st_state, *st_end, *st_output,
    *st_input_gone;

static const spawn_statement all[] = {
    {&st_insert, "INSERT INTO job(id, queue, state, digest, fds, caller_uid,"
                 " caller_pid, submitted_at, instance, body, template)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
    {&st_input, "INSERT INTO input(seq, data, args) VALUES(?1, ?2, ?3)"},
    {&st_state, "UPDATE job SET state = ?2, pid = ?3, boot_started = ?4,"
                " started_at = ?5, instance = ?6, cancel = ?7"
                " WHERE seq = ?1"},
    {&st_end, "UPDATE job SET state = 4, pid = ?2, started_at = ?3,"
              " ended_at = ?4, elapsed = ?5, outcome = ?6, exit_code = ?7,"
              " signal = ?8, core = ?9, step = ?10, errno = ?11, text = ?12,"
              " rusage = ?13, progress = ?14, result_kind = ?15, end_seq = ?16"
              " WHERE seq = ?1"},
    {&st_output, "INSERT OR REPLACE INTO output(seq, out, err, out_lost,"
                 " err_lost, result, out_cut, err_cut, result_cut)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    {&st_input_gone, "DELETE FROM input WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_write(void)
{
    return spawn_sql_prepare(all, STATEMENTS);
}

void spawn_store_finish_write(void)
{
    spawn_sql_finish(all, STATEMENTS);
}

static bool ends_only;

void spawn_store_ends_only(bool only)
{
    ends_only = only;
}

int spawn_store_begin(void)
{
    spawn_store_spend();
    return spawn_sql_begin();
}

int spawn_store_commit(void)
{
    return spawn_sql_commit();
}

void spawn_store_rollback(void)
{
    spawn_store_spent_nothing();
    spawn_sql_rollback();
}

static void bind_id(sqlite3_stmt *s, int at, const spawn_id *id)
{
    (void)sqlite3_bind_blob(s, at, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
}

/* Numbers for which 0 means: not known. */
static void bind_known(sqlite3_stmt *s, int at, int64_t value)
{
    if (value)
        (void)sqlite3_bind_int64(s, at, value);
}

/* Of a Perl job; kind < 0: of a program, or it could not be read. */
typedef struct {
    int kind;
    void *data;
    size_t length;
} perl_result;

static void read_result(const spawn_job *job, perl_result *ret)
{
    char id[SPAWN_ID_TEXT];

    ret->kind = -1;
    ret->data = NULL;
    ret->length = 0;
    if (!job->perl)
        return;
    ret->kind = SPAWN_RESULT_NONE;
    if (job->perl->kept) {
        ret->kind = job->perl->kept->kind;
        ret->data = job->perl->kept->data;
        ret->length = job->perl->kept->length;
    }
    if (job->perl->kept || job->perl->board < 0)
        return;
    ret->kind = spawn_board_result(job->perl->board, &ret->data, &ret->length);
    if (ret->kind < 0)
        spawn_log_few(spawn_log_about("queue", job->queue->name), SPAWN_LOG_FEW,
                      SPAWN_LOG_WARN,
                      MSNO(0605) "the result of job %s cannot be read: %s",
                      spawn_id_format(&job->id, id), strerror(-ret->kind));
}

static int write_end(spawn_job *job, const perl_result *result)
{
    const spawn_end *end = job->end;
    sqlite3_stmt *s = st_end;
    spawn_progress progress;

    (void)sqlite3_bind_int64(s, 1, job->seq);
    bind_known(s, 2, job->pid);
    bind_known(s, 3, job->started_at);
    (void)sqlite3_bind_int64(s, 4, end->ended_at);
    if (end->elapsed_us >= 0)
        (void)sqlite3_bind_int64(s, 5, end->elapsed_us);
    (void)sqlite3_bind_int(s, 6, (int)end->outcome);
    if (end->exit_code >= 0)
        (void)sqlite3_bind_int(s, 7, end->exit_code);
    if (end->signo) {
        (void)sqlite3_bind_int(s, 8, end->signo);
        (void)sqlite3_bind_int(s, 9, end->core);
    }
    if (end->outcome == SPAWN_OUTCOME_START_FAILED) {
        (void)sqlite3_bind_int(s, 10, (int)end->step);
        (void)sqlite3_bind_int(s, 11, end->error);
    }
    if (end->text)
        (void)sqlite3_bind_text(s, 12, end->text, -1, SQLITE_STATIC);
    if (end->rusage_count)
        (void)sqlite3_bind_blob(s, 13, end->rusage,
                                (int)(end->rusage_count * sizeof(uint64_t)),
                                SQLITE_STATIC);
    if (spawn_perl_progress(job, &progress))
        (void)sqlite3_bind_blob(s, 14, &progress, sizeof(progress),
                                SQLITE_STATIC);
    if (result->kind >= 0)
        (void)sqlite3_bind_int(s, 15, result->kind);
    (void)sqlite3_bind_int64(s, 16, spawn_store_next_end());
    return spawn_sql_step(s);
}

/* Half a result is none: of a long one that its caller has, nothing is kept. */
static void bind_result(const spawn_job *job, const perl_result *result)
{
    if (result->kind <= SPAWN_RESULT_NONE)
        return;
    if (ends_only
        || (job->delivered
            && result->length > SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)) {
        (void)sqlite3_bind_int64(st_output, 9, (int64_t)result->length);
        return;
    }
    spawn_store_wrote(result->length);
    (void)sqlite3_bind_blob64(st_output, 6, result->data ? result->data : "",
                              result->length, SQLITE_STATIC);
}

static int write_output(const spawn_job *job, const perl_result *result)
{
    uint8_t room[2][SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL];
    spawn_captured out[2];
    int i, rv;

    if (!spawn_output_captured(job) && !job->perl)
        return 0;
    bind_result(job, result);
    (void)sqlite3_bind_int64(st_output, 1, job->seq);
    for (i = 0; i < 2; i++) {
        const void *data;
        size_t length;

        spawn_output_get(job, i, &out[i]);
        if (!out[i].there)
            continue;
        data = out[i].data;
        length = out[i].length;
        if (data && ends_only) {
            (void)sqlite3_bind_int64(st_output, 7 + i, (int64_t)length);
            data = NULL;
            length = 0;
        }
        if (data && job->delivered)
            (void)sqlite3_bind_int64(
                st_output, 7 + i,
                (int64_t)spawn_store_cut(&data, &length, room[i]));
        spawn_store_wrote(length);
        if (data)
            (void)sqlite3_bind_blob64(st_output, 2 + i, data, length,
                                      SQLITE_STATIC);
        else
            (void)sqlite3_bind_zeroblob(st_output, 2 + i, 0);
        (void)sqlite3_bind_int64(st_output, 4 + i, (int64_t)out[i].lost);
    }
    rv = spawn_sql_step(st_output);
    for (i = 0; i < 2; i++)
        spawn_output_put(&out[i]);
    return rv;
}

static int write_done(spawn_job *job)
{
    perl_result result;
    int rv;

    read_result(job, &result);
    rv = write_end(job, &result) || write_output(job, &result) ? -1 : 0;
    if (!job->perl || !job->perl->kept)
        free(result.data);
    if (rv)
        return rv;
    (void)sqlite3_bind_int64(st_input_gone, 1, job->seq);
    return spawn_sql_step(st_input_gone);
}

int spawn_store_insert(spawn_job *job)
{
    static const uint8_t none[1];
    const spawn_body *body = job->body;
    sqlite3_stmt *s = st_insert;

    bind_id(s, 1, &job->id);
    (void)sqlite3_bind_text(s, 2, job->queue->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 3, job->state);
    (void)sqlite3_bind_int64(s, 4, (int64_t)job->digest);
    (void)sqlite3_bind_int(s, 5, job->fds);
    (void)sqlite3_bind_int64(s, 6, job->caller_uid);
    (void)sqlite3_bind_int64(s, 7, job->caller_pid);
    (void)sqlite3_bind_int64(s, 8, job->submitted_at);
    bind_id(s, 9, &spawn_conf.spawner_life);
    (void)sqlite3_bind_blob64(s, 10, body->data, body->length, SQLITE_STATIC);
    if (job->perl)
        (void)sqlite3_bind_text(
            s, 11, job->perl->named ? job->perl->template->name : "", -1,
            SQLITE_STATIC);
    if (spawn_sql_step(s))
        return -1;
    job->seq = sqlite3_last_insert_rowid(spawn_db);
    if (job->state == SPAWN_STATE_DONE)
        return write_done(job);
    if (!body->input && !body->args)
        return 0;
    spawn_store_wrote(body->input_length + body->args_length);
    (void)sqlite3_bind_int64(st_input, 1, job->seq);
    (void)sqlite3_bind_blob64(st_input, 2, body->input ? body->input : none,
                              body->input_length, SQLITE_STATIC);
    (void)sqlite3_bind_blob64(st_input, 3, body->args ? body->args : none,
                              body->args_length, SQLITE_STATIC);
    return spawn_sql_step(st_input);
}

int spawn_store_update(spawn_job *job)
{
    sqlite3_stmt *s = st_state;

    if (job->state == SPAWN_STATE_DONE)
        return write_done(job);
    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, job->state);
    bind_known(s, 3, job->pid);
    bind_known(s, 4, job->boot_started);
    bind_known(s, 5, job->started_at);
    bind_id(s, 6, &spawn_conf.spawner_life);
    (void)sqlite3_bind_int(s, 7, job->cancel);
    return spawn_sql_step(s);
}
