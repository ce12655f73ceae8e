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
#include "broker/job/needs.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/template.h"
#include "broker/job/unique.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/store/attempts.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define AT(name) offsetof(spawn_store, write.name)
static const spawn_statement all[] = {
    {AT(insert), "INSERT INTO job(id, queue, state, digest, fds, caller_uid,"
                 " caller_pid, submitted_at, instance, body, template, pid,"
                 " boot_started, started_at, ended_at, elapsed, outcome,"
                 " exit_code, signal, core, step, errno, text, rusage,"
                 " progress, result_kind, end_seq, cancel, due_at, due_boot,"
                 " expires_at, expires_boot, attempt, retries, dead, priority,"
                 " unique_key, unique_until, unique_boot, needs)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                 " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,"
                 " ?25, ?26, ifnull(?27, 0), ?28, ?29, ?30, ?31, ?32,"
                 " ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40)"},
    {AT(input), "INSERT INTO input(seq, data, args) VALUES(?1, ?2, ?3)"},
    {AT(state), "UPDATE job SET state = ?2, pid = ?3, boot_started = ?4,"
                " started_at = ?5, instance = ?6,"
                " cancel = ifnull(nullif(?7, 0), cancel),"
                " due_at = ?8, due_boot = ?9, attempt = ?10, retries = ?11"
                " WHERE seq = ?1"},
    {AT(end), "UPDATE job SET state = 4, pid = ?2, started_at = ?3,"
              " ended_at = ?4, elapsed = ?5, outcome = ?6, exit_code = ?7,"
              " signal = ?8, core = ?9, step = ?10, errno = ?11,"
              " text = ifnull(?12, text),"
              " rusage = ?13, progress = ?14, result_kind = ?15, end_seq = ?16,"
              " dead = ?17, attempt = ?18 WHERE seq = ?1"},
    {AT(again), "UPDATE job SET state = 1, pid = NULL, boot_started = NULL,"
                " started_at = NULL, cancel = 0, attempt = ?2, retries = ?3,"
                " due_at = ?4, due_boot = ?5,"
                " unique_until = CASE WHEN ?6 THEN unique_until END"
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
    if (spawn_store_note_late(store) || spawn_sql_commit(store))
        return -1;
    spawn_store_late_noted(store);
    return 0;
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

static void bind_moment(sqlite3_stmt *s, int at, const spawn_moment *m)
{
    bind_known(s, at, m->wall);
    bind_known(s, at + 1, m->boot);
}

/* Of a Perl job; kind < 0: of a program, or it could not be read. */
typedef struct {
    int kind;
    void *data;
    size_t length;
    bool lost;
    bool said;
    spawn_progress progress;
} perl_result;

static void read_result(const spawn_job *job, perl_result *ret)
{
    char name[SPAWN_LOGS_NAME];

    ret->kind = -1;
    ret->data = NULL;
    ret->length = 0;
    ret->lost = false;
    ret->said = spawn_perl_progress(job, &ret->progress);
    if (!job->perl)
        return;
    ret->kind = SPAWN_RESULT_NONE;
    if (job->perl->kept) {
        ret->kind = job->perl->kept->kind;
        ret->data = job->perl->kept->data;
        ret->length = job->perl->kept->length;
        ret->lost = job->perl->kept->lost;
    }
    if (job->perl->kept || job->perl->board < 0)
        return;
    ret->kind = spawn_board_result(job->perl->board, &ret->data, &ret->length);
    if (ret->kind < 0)
        spawn_log_few(spawn_log_about("queue", job->queue->name), SPAWN_LOG_FEW,
                      SPAWN_LOG_WARN,
                      MSNO(0605) "the result of job %s cannot be read: %s",
                      spawn_store_name(job, name), strerror(-ret->kind));
}

/* The columns of an end, from pid to end_seq, at these places of a statement.
 */
static void bind_end(sqlite3_stmt *s, int pid_at, int started_at, int ended_at,
                     spawn_store *store, spawn_job *job,
                     const perl_result *result)
{
    const spawn_end *end = job->end;
    const int at = ended_at;

    bind_known(s, pid_at, job->pid);
    bind_known(s, started_at, job->started_at);
    (void)sqlite3_bind_int64(s, at, end->ended_at);
    if (end->elapsed_us >= 0)
        (void)sqlite3_bind_int64(s, at + 1, end->elapsed_us);
    (void)sqlite3_bind_int(s, at + 2, (int)end->outcome);
    if (end->exit_code >= 0)
        (void)sqlite3_bind_int(s, at + 3, end->exit_code);
    if (end->signo) {
        (void)sqlite3_bind_int(s, at + 4, end->signo);
        (void)sqlite3_bind_int(s, at + 5, end->core);
    }
    if (end->outcome == SPAWN_OUTCOME_START_FAILED) {
        (void)sqlite3_bind_int(s, at + 6, (int)end->step);
        (void)sqlite3_bind_int(s, at + 7, end->error);
    }
    if (end->text)
        (void)sqlite3_bind_text(s, at + 8, end->text, -1, SQLITE_STATIC);
    if (end->rusage_count)
        (void)sqlite3_bind_blob(s, at + 9, end->rusage,
                                (int)(end->rusage_count * sizeof(uint64_t)),
                                SQLITE_STATIC);
    if (result->said)
        (void)sqlite3_bind_blob(s, at + 10, &result->progress,
                                sizeof(result->progress), SQLITE_STATIC);
    if (result->kind >= 0)
        (void)sqlite3_bind_int(s, at + 11, result->kind);
    (void)sqlite3_bind_int64(s, at + 12, spawn_store_next_end(store));
}

/* Half a result is useless: when its caller has a long one, nothing of it is
 * kept. */
static void bind_result(spawn_store *store, const spawn_job *job,
                        const perl_result *result)
{
    spawn_part_write *w = &store->write;

    if (result->kind <= SPAWN_RESULT_NONE || result->lost)
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

static void drop_result(const spawn_job *job, perl_result *result)
{
    if (!job->perl || !job->perl->kept)
        free(result->data);
}

/* Beside the row of a job that is done. */
static int write_rest(spawn_store *store, const spawn_job *job,
                      const perl_result *result)
{
    sqlite3_stmt *s = store->write.input_gone;
    int rv = write_output(store, job, result);

    if (rv == 0 && spawn_claim_stays(job))
        rv = spawn_store_hold(store, job);
    else if (rv == 0 && job->claim && job->claim->held) /* revived, in vain */
        rv = spawn_store_hold_over(store, job);
    if (rv == 0 && job->needs && job->in_store)
        rv = spawn_store_update_needs(store, job);
    if (rv == 0 && job->term_noted && !job->rest_lives)
        rv = spawn_store_drop_grace(store, &job->id);
    if (rv || !job->input_stored || job->dead) /* it may be revived */
        return rv;
    (void)sqlite3_bind_int64(s, 1, job->seq);
    return spawn_sql_step(s);
}

static int update_done(spawn_store *store, spawn_job *job)
{
    sqlite3_stmt *s = store->write.end;
    perl_result result;
    int rv;

    read_result(job, &result);
    (void)sqlite3_bind_int64(s, 1, job->seq);
    bind_end(s, 2, 3, 4, store, job, &result);
    (void)sqlite3_bind_int(s, 17, job->dead);
    (void)sqlite3_bind_int(s, 18, job->attempt);
    rv = spawn_sql_step(s) || write_rest(store, job, &result) ? -1 : 0;
    drop_result(job, &result);
    return rv;
}

/* One that is tried again waits; so does a durable one until the ledger has it
 * that it starts. */
static unsigned state_of(const spawn_job *job)
{
    return job->again || job->ledger == SPAWN_IN_LEDGER_ORDERING
               ? SPAWN_STATE_QUEUED
               : job->state;
}

static void bind_order(sqlite3_stmt *s, const spawn_job *job)
{
    spawn_moment until;

    (void)sqlite3_bind_int(
        s, 40,
        job->needs && job->needs->open ? job->needs->when_failed + 1 : 0);
    if (!job->claim)
        return;
    spawn_claim_until(job->claim, &until);
    (void)sqlite3_bind_text(s, 37, spawn_key_name(job->claim->key), -1,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 38, until.wall);
    bind_known(s, 39, until.boot);
}

static void bind_new(sqlite3_stmt *s, const spawn_job *job)
{
    const spawn_body *body = job->body;

    bind_id(s, 1, &job->id);
    (void)sqlite3_bind_text(s, 2, job->queue->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 3, (int)state_of(job));
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
    (void)sqlite3_bind_int(s, 36, job->priority);
    bind_order(s, job);
    if (job->rules) {
        bind_moment(s, 29, &job->rules->due);
        bind_moment(s, 31, &job->rules->expires);
    }
    (void)sqlite3_bind_int(s, 33, job->attempt + job->again);
    (void)sqlite3_bind_int(s, 34, job->retries - job->again);
    (void)sqlite3_bind_int(s, 35, job->dead);
    (void)sqlite3_bind_int(s, 28, job->again ? 0 : job->cancel);
    if (job->again)
        return;
    bind_known(s, 12, job->pid);
    bind_known(s, 13, job->boot_started);
    bind_known(s, 14, job->started_at);
}

static int insert_row(spawn_store *store, spawn_job *job)
{
    if (spawn_sql_step(store->write.insert))
        return -1;
    job->seq = sqlite3_last_insert_rowid(store->db);
    spawn_store_came(store, job->seq, job->submitted_at);
    return 0;
}

static int insert_input(spawn_store *store, spawn_job *job)
{
    spawn_part_write *w = &store->write;
    static const uint8_t none[1];
    const spawn_body *body = job->body;

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

/* All of it at once. */
static int insert_done(spawn_store *store, spawn_job *job)
{
    sqlite3_stmt *s = store->write.insert;
    perl_result result;
    int rv;

    read_result(job, &result);
    bind_new(s, job);
    bind_end(s, 12, 14, 15, store, job, &result);
    rv = insert_row(store, job) || write_rest(store, job, &result)
                 || (job->dead && insert_input(store, job))
             ? -1
             : 0;
    drop_result(job, &result);
    return rv;
}

/* An attempt has ended, and another one follows: its record, and in the row
 * what is known of the next one. */
static int write_attempt(spawn_store *store, const spawn_job *job)
{
    if (spawn_store_attempt(store, job, job->perl ? job->perl->kept : NULL))
        return -1;
    return job->term_noted && !job->rest_lives
               ? spawn_store_drop_grace(store, &job->id)
               : 0;
}

static int update_again(spawn_store *store, const spawn_job *job)
{
    sqlite3_stmt *s = store->write.again;

    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, job->attempt + 1);
    (void)sqlite3_bind_int(s, 3, job->retries - 1);
    if (job->rules)
        bind_moment(s, 4, &job->rules->due);
    (void)sqlite3_bind_int(s, 6, job->claim != NULL); /* else it gave it up */
    return spawn_sql_step(s) || write_attempt(store, job) ? -1 : 0;
}

static int insert_open(spawn_store *store, spawn_job *job)
{
    bind_new(store->write.insert, job);
    if (insert_row(store, job) || insert_input(store, job)
        || (job->needs && spawn_store_put_needs(store, job)))
        return -1;
    spawn_store_opened(store, job->body->length + job->body->input_length
                                  + job->body->args_length);
    return job->again ? write_attempt(store, job) : 0;
}

int spawn_store_insert(spawn_store *store, spawn_job *job)
{
    int rv =
        spawn_job_over(job) ? insert_done(store, job) : insert_open(store, job);

    if (rv == 0 && job->share)
        rv = spawn_store_put_share(store, job);
    return rv == 0 && job->claim ? spawn_store_mark_replaced(store, job) : rv;
}

int spawn_store_update(spawn_store *store, spawn_job *job)
{
    sqlite3_stmt *s = store->write.state;

    if (job->share && spawn_store_put_share(store, job))
        return -1;
    if (job->revived && spawn_store_revive(store, job))
        return -1;
    if (job->revived && job->again)
        return 0;
    if (job->again)
        return update_again(store, job);
    if (job->state == SPAWN_STATE_DONE)
        return update_done(store, job);
    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, (int)state_of(job));
    bind_known(s, 3, job->pid);
    bind_known(s, 4, job->boot_started);
    bind_known(s, 5, job->started_at);
    bind_id(s, 6, &spawn_conf.spawner_life);
    (void)sqlite3_bind_int(s, 7, job->cancel);
    if (job->rules)
        bind_moment(s, 8, &job->rules->due);
    (void)sqlite3_bind_int(s, 10, job->attempt);
    (void)sqlite3_bind_int(s, 11, job->retries);
    return spawn_sql_step(s)
                   || (job->needs && spawn_store_update_needs(store, job))
               ? -1
               : 0;
}
