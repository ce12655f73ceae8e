/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of attempts that were followed by another one. Runs in the broker.
 *
 * Of what an attempt wrote, beginning and end are kept, as of an output that
 * its caller has: a job may have a hundred of them.
 */
#include "broker/store/attempts.h"

#include "broker/job/rules.h"
#include "broker/process/output.h"
#include "broker/store/sql.h"
#include "broker/store/store.h"

#define KEPT     (SPAWN_KEPT_HEAD + SPAWN_KEPT_TAIL)
#define TOLD_MAX 100 /* the last ones */

#define AT(name) offsetof(spawn_store, attempts.name)
static const spawn_statement all[] = {
    {AT(add),
     "INSERT OR REPLACE INTO attempt(seq, number, pid, started_at, ended_at,"
     " elapsed, outcome, exit_code, signal, core, step, errno, text,"
     " result_kind, out, err, result, out_lost, err_lost, out_cut, err_cut,"
     " result_cut) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
     " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)"},
    {AT(of_job),
     "SELECT number, pid, started_at, ended_at, elapsed, outcome, exit_code,"
     " signal, core, step, errno, text, result_kind, out, err, result,"
     " out_lost, err_lost, out_cut, err_cut, result_cut FROM (SELECT * FROM"
     " attempt WHERE seq = ?1 ORDER BY number DESC LIMIT ?2) ORDER BY number"},
    {AT(from_row),
     "INSERT OR REPLACE INTO attempt(seq, number, pid, started_at, ended_at,"
     " elapsed, outcome, exit_code, signal, core, step, errno, text,"
     " result_kind, out, err, result, out_lost, err_lost, out_cut, err_cut,"
     " result_cut) SELECT job.seq, attempt, pid, started_at, ended_at, elapsed,"
     " outcome, exit_code, signal, core, step, errno, text, result_kind,"
     /* substr makes NULL of what is empty, as if it had not been captured */
     " CASE WHEN length(out) > ?2 THEN substr(out, 1, ?2) ELSE out END,"
     " CASE WHEN length(err) > ?2 THEN substr(err, 1, ?2) ELSE err END,"
     " CASE WHEN length(result) <= ?2 THEN result END, out_lost, err_lost,"
     " ifnull(out_cut, 0) + max(length(out) - ?2, 0),"
     " ifnull(err_cut, 0) + max(length(err) - ?2, 0),"
     " CASE WHEN length(result) > ?2 THEN length(result) ELSE result_cut END"
     " FROM job LEFT JOIN output ON output.seq = job.seq WHERE job.seq = ?1"},
    {AT(revive),
     "UPDATE job SET state = 1, dead = 0, attempt = ?3,"
     " retries = ?2, due_at = ?4, due_boot = NULL, cancel = 0, pid = NULL,"
     " boot_started = NULL, started_at = NULL, ended_at = NULL, elapsed = NULL,"
     " outcome = NULL, exit_code = NULL, signal = NULL, core = NULL,"
     " step = NULL, errno = NULL, text = NULL, rusage = NULL, progress = NULL,"
     " result_kind = NULL, end_seq = 0, round = ?3,"
     " unique_until = ifnull(unique_until, 0) WHERE seq = ?1"},
    {AT(output_gone), "DELETE FROM output WHERE seq = ?1"},
};
#define STATEMENTS (sizeof(all) / sizeof(all[0]))

int spawn_store_prepare_attempts(spawn_store *store)
{
    return spawn_sql_prepare(store, all, STATEMENTS);
}

void spawn_store_finish_attempts(spawn_store *store)
{
    spawn_sql_finish(store, all, STATEMENTS);
}

/* ---- writing ---- */

static void bind_known(sqlite3_stmt *s, int at, int64_t value)
{
    if (value)
        (void)sqlite3_bind_int64(s, at, value);
}

static void bind_end(sqlite3_stmt *s, const spawn_job *job)
{
    const spawn_end *end = job->end;

    bind_known(s, 3, job->pid);
    bind_known(s, 4, job->started_at);
    (void)sqlite3_bind_int64(s, 5, end->ended_at);
    if (end->elapsed_us >= 0)
        (void)sqlite3_bind_int64(s, 6, end->elapsed_us);
    (void)sqlite3_bind_int(s, 7, (int)end->outcome);
    if (end->exit_code >= 0)
        (void)sqlite3_bind_int(s, 8, end->exit_code);
    if (end->signo) {
        (void)sqlite3_bind_int(s, 9, end->signo);
        (void)sqlite3_bind_int(s, 10, end->core);
    }
    if (end->outcome == SPAWN_OUTCOME_START_FAILED) {
        (void)sqlite3_bind_int(s, 11, (int)end->step);
        (void)sqlite3_bind_int(s, 12, end->error);
    }
    if (end->text)
        (void)sqlite3_bind_text(s, 13, end->text, -1, SQLITE_STATIC);
}

/* Half a result is none. */
static void bind_result(sqlite3_stmt *s, const spawn_job *job,
                        const spawn_returned *result)
{
    int kind = result && result->kind > 0 ? result->kind : SPAWN_RESULT_NONE;

    if (!job->perl)
        return;
    (void)sqlite3_bind_int(s, 14, kind);
    if (kind == SPAWN_RESULT_NONE)
        return;
    if (result->length <= KEPT)
        (void)sqlite3_bind_blob64(s, 17, result->data ? result->data : "",
                                  result->length, SQLITE_STATIC);
    else
        (void)sqlite3_bind_int64(s, 22, (int64_t)result->length);
}

static void bind_output(spawn_store *store, const spawn_captured *out,
                        int which, uint8_t *room)
{
    sqlite3_stmt *s = store->attempts.add;
    const void *data = out->data;
    size_t length = out->length;

    bind_known(s, 20 + which, (int64_t)spawn_store_cut(&data, &length, room));
    spawn_store_wrote(store, length);
    if (data && length)
        (void)sqlite3_bind_blob64(s, 15 + which, data, length, SQLITE_STATIC);
    else
        (void)sqlite3_bind_zeroblob(s, 15 + which, 0);
    bind_known(s, 18 + which, (int64_t)out->lost);
}

int spawn_store_attempt(spawn_store *store, const spawn_job *job,
                        const spawn_returned *result)
{
    sqlite3_stmt *s = store->attempts.add;
    uint8_t room[2][KEPT];
    spawn_captured out[2];
    int i, rv;

    (void)sqlite3_bind_int64(s, 1, job->seq);
    (void)sqlite3_bind_int(s, 2, job->attempt);
    bind_end(s, job);
    bind_result(s, job, result);
    for (i = 0; i < 2; i++) {
        spawn_output_get(job, i, &out[i]);
        if (out[i].there)
            bind_output(store, &out[i], i, room[i]);
    }
    rv = spawn_sql_step(s);
    for (i = 0; i < 2; i++)
        spawn_output_put(&out[i]);
    return rv;
}

int spawn_store_revive(spawn_store *store, const spawn_job *job)
{
    spawn_part_attempts *p = &store->attempts;

    (void)sqlite3_bind_int64(p->from_row, 1, job->seq);
    (void)sqlite3_bind_int(p->from_row, 2, KEPT);
    (void)sqlite3_bind_int64(p->revive, 1, job->seq);
    (void)sqlite3_bind_int(p->revive, 2, job->retries - 1);
    (void)sqlite3_bind_int(p->revive, 3, job->attempt + 1);
    if (job->rules) /* as the ledger has it */
        bind_known(p->revive, 4, job->rules->due.wall);
    (void)sqlite3_bind_int64(p->output_gone, 1, job->seq);
    return spawn_sql_step(p->from_row) || spawn_sql_step(p->revive)
                   || spawn_sql_step(p->output_gone)
               ? -1
               : 0;
}

/* ---- reading ---- */

/* Columns that go into a record as they are. */
static const struct {
    uint8_t column;
    uint8_t attr;
} numbers[] = {
    {0, SPAWN_A_ATTEMPT},   {1, SPAWN_A_PID},     {2, SPAWN_A_STARTED_AT},
    {3, SPAWN_A_ENDED_AT},  {4, SPAWN_A_ELAPSED}, {5, SPAWN_A_OUTCOME},
    {6, SPAWN_A_EXIT_CODE}, {7, SPAWN_A_SIGNAL},  {8, SPAWN_A_CORE},
    {9, SPAWN_A_STEP},      {10, SPAWN_A_ERRNO},  {12, SPAWN_A_RESULT_KIND}};

static void put_bytes(sqlite3_stmt *s, int column, uint16_t attr,
                      spawn_writer *w)
{
    const void *data = sqlite3_column_blob(s, column);

    if (sqlite3_column_type(s, column) != SQLITE_NULL)
        spawn_put_bytes(w, attr, data ? data : "",
                        (size_t)sqlite3_column_bytes(s, column));
}

static void put_output(sqlite3_stmt *s, spawn_writer *w)
{
    static const uint8_t lost[] = {SPAWN_A_OUT_LOST, SPAWN_A_ERR_LOST};
    uint64_t cut[SPAWN_CUT_COUNT], sum = 0;
    int i;

    put_bytes(s, 13, SPAWN_A_OUT, w);
    put_bytes(s, 14, SPAWN_A_ERR, w);
    put_bytes(s, 15, SPAWN_A_RESULT, w);
    for (i = 0; i < 2; i++) {
        if (sqlite3_column_int64(s, 16 + i))
            spawn_put_u64(w, lost[i],
                          (uint64_t)sqlite3_column_int64(s, 16 + i));
    }
    for (i = 0; i < SPAWN_CUT_COUNT; i++) {
        cut[i] = (uint64_t)sqlite3_column_int64(s, 18 + i);
        sum |= cut[i];
    }
    if (sum)
        spawn_put_u64v(w, SPAWN_A_CUT, cut, SPAWN_CUT_COUNT);
}

static void put_record(sqlite3_stmt *s, bool with_output, spawn_writer *w)
{
    const char *text = (const char *)sqlite3_column_text(s, 11);
    size_t mark = spawn_open_nest(w, SPAWN_A_ATTEMPTS), i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (sqlite3_column_type(s, numbers[i].column) != SQLITE_NULL)
            spawn_put_u64(w, numbers[i].attr,
                          (uint64_t)sqlite3_column_int64(s, numbers[i].column));
    }
    if (text)
        spawn_put_str(w, SPAWN_A_TEXT, text);
    if (with_output)
        put_output(s, w);
    spawn_close(w, mark);
}

void spawn_store_put_attempts(spawn_store *store, int64_t seq, bool with_output,
                              spawn_writer *w)
{
    sqlite3_stmt *s = store->attempts.of_job;
    size_t mark = spawn_open_nest(w, SPAWN_A_ATTEMPTS);

    (void)sqlite3_bind_int64(s, 1, seq);
    (void)sqlite3_bind_int(s, 2, TOLD_MAX);
    while (sqlite3_step(s) == SQLITE_ROW)
        put_record(s, with_output, w);
    spawn_sql_reset(s);
    spawn_close(w, mark);
}
