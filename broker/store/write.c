/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to the store, one transaction a turn. Runs in the broker. Must only
 * be called inside of a transaction.
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

#define AT(name) offsetof(spawn_store, write.name)
static const spawn_statement all[] = {
    {AT(insert), "INSERT INTO job(id, queue, state, digest, fds, caller_uid,"
                 " caller_pid, submitted_at, instance, body, template)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
    {AT(input), "INSERT INTO input(seq, data, args) VALUES(?1, ?2, ?3)"},
    {AT(state), "UPDATE job SET state = ?2, pid = ?3, boot_started = ?4,"
                " started_at = ?5, instance = ?6, cancel = ?7"
                " WHERE seq = ?1"},
    {AT(end), "UPDATE job SET state = 4, pid = ?2, started_at = ?3,"
              " ended_at = ?4, elapsed = ?5, outcome = ?6, exit_code = ?7,"
              " signal = ?8, core = ?9, step = ?10, errno = ?11, text = ?12,"
              " rusage = ?13, progress = ?14, result_kind = ?15, end_seq = ?16"
              " WHERE seq = ?1"},
    {AT(output), "INSERT OR REPLACE INTO output(seq, out, err, out_lost,"
                 " err_lost, result, out_cut, err_cut, result_cut)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    {AT(input_gone), "DELETE FROM input WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_write(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_write(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

void spawn_store_ends_only(spawn_store *store, bool only)
{
    store->write.ends_only = only;
}

int spawn_store_begin(spawn_store *store)
{
    spawn_store_spend(store);
    return spawn_sql_begin(store);
}

int spawn_store_commit(spawn_store *store)
{
    return spawn_sql_commit(store);
}

void spawn_store_rollback(spawn_store *store)
{
    spawn_store_spent_nothing(store);
    spawn_sql_rollback(store);
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

static int write_end(spawn_store *store, spawn_job *job,
                     const perl_result *result)
{
    const spawn_end *end = job->end;
    sqlite3_stmt *s = store->write.end;
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
    (void)sqlite3_bind_int64(s, 16, spawn_store_next_end(store));
    return spawn_sql_step(s);
}

/* Half a result is useless: when its caller has a long one, nothing of it is
 * kept. */
static void bind_result(spawn_store *store, const spawn_job *job,
                        const perl_result *result)
{
    spawn_part_write *w = &store->write;

    if (result->kind <= SPAWN_RESULT_NONE)
        return;
    if (w->ends_only
        || (job->delivered
            && result->length > SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)) {
        (void)sqlite3_bind_int64(w->output, 9, (int64_t)result->length);
        return;
    }
    spawn_store_wrote(store, result->length);
    (void)sqlite3_bind_blob64(w->output, 6, result->data ? result->data : "",
                              result->length, SQLITE_STATIC);
}

static int write_output(spawn_store *store, const spawn_job *job,
                        const perl_result *result)
{
    spawn_part_write *w = &store->write;
    uint8_t room[2][SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL];
    spawn_captured out[2];
    int i, rv;

    if (!spawn_output_captured(job) && !job->perl)
        return 0;
    bind_result(store, job, result);
    (void)sqlite3_bind_int64(w->output, 1, job->seq);
    for (i = 0; i < 2; i++) {
        const void *data;
        size_t length;

        spawn_output_get(job, i, &out[i]);
        if (!out[i].there)
            continue;
        data = out[i].data;
        length = out[i].length;
        if (data && w->ends_only) {
            (void)sqlite3_bind_int64(w->output, 7 + i, (int64_t)length);
            data = NULL;
            length = 0;
        }
        if (data && job->delivered)
            (void)sqlite3_bind_int64(
                w->output, 7 + i,
                (int64_t)spawn_store_cut(&data, &length, room[i]));
        spawn_store_wrote(store, length);
        if (data)
            (void)sqlite3_bind_blob64(w->output, 2 + i, data, length,
                                      SQLITE_STATIC);
        else
            (void)sqlite3_bind_zeroblob(w->output, 2 + i, 0);
        (void)sqlite3_bind_int64(w->output, 4 + i, (int64_t)out[i].lost);
    }
    rv = spawn_sql_step(w->output);
    for (i = 0; i < 2; i++)
        spawn_output_put(&out[i]);
    return rv;
}

static int write_done(spawn_store *store, spawn_job *job)
{
    sqlite3_stmt *s = store->write.input_gone;

    perl_result result;
    int rv;

    read_result(job, &result);
    rv = write_end(store, job, &result) || write_output(store, job, &result)
             ? -1
             : 0;
    if (!job->perl || !job->perl->kept)
        free(result.data);
    if (rv == 0 && job->term_noted && !job->rest_lives)
        rv = spawn_store_drop_grace(store, &job->id);
    if (rv || !job->input_stored)
        return rv;
    (void)sqlite3_bind_int64(s, 1, job->seq);
    return spawn_sql_step(s);
}

int spawn_store_insert(spawn_store *store, spawn_job *job)
{
    spawn_part_write *w = &store->write;
    static const uint8_t none[1];
    const spawn_body *body = job->body;
    sqlite3_stmt *s = w->insert;

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
    job->seq = sqlite3_last_insert_rowid(store->db);
    if (job->state == SPAWN_STATE_DONE)
        return write_done(store, job);
    if (!body->input && !body->args)
        return 0;
    job->input_stored = true;
    spawn_store_wrote(store, body->input_length + body->args_length);
    (void)sqlite3_bind_int64(w->input, 1, job->seq);
    (void)sqlite3_bind_blob64(w->input, 2, body->input ? body->input : none,
                              body->input_length, SQLITE_STATIC);
    (void)sqlite3_bind_blob64(w->input, 3, body->args ? body->args : none,
                              body->args_length, SQLITE_STATIC);
    return spawn_sql_step(w->input);
}

int spawn_store_update(spawn_store *store, spawn_job *job)
{
    sqlite3_stmt *s = store->write.state;

    if (job->state == SPAWN_STATE_DONE)
        return write_done(store, job);
    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, job->state);
    bind_known(s, 3, job->pid);
    bind_known(s, 4, job->boot_started);
    bind_known(s, 5, job->started_at);
    bind_id(s, 6, &spawn_conf.spawner_life);
    (void)sqlite3_bind_int(s, 7, job->cancel);
    return spawn_sql_step(s);
}
