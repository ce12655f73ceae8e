/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that a broker before this one has taken, and that the store does not
 * have: a slot of the inbox has them, or the ledger. Runs in the broker. Must
 * put them in no state: broker/recover.c finds out what became of them.
 */
#include "broker/caller/submit_found.h"

#include <unistd.h>

#include "common/spawn_check.h"
#include "common/spawn_log.h"
#include "common/spawn_retry.h"
#include "broker/job/body.h"
#include "broker/job/rules.h"
#include "broker/store/store.h"
#include "broker/caller/admit.h"
#include "broker/caller/incoming.h"

/* ---- launched, or accepted, by a broker before this one ---- */

static void take_note(spawn_job *job, const spawn_inbox_note *note,
                      const spawn_message *order)
{
    job->digest = note->digest;
    job->submitted_at = note->submitted_at;
    job->started_at = note->started_at;
    job->boot_started = note->boot_started;
    job->pid = note->pid;
    job->timed_out = note->timed_out;
    job->cancel = note->cancel;
    job->lent = note->of_worker && note->lent;
    job->attempt = note->attempt;
    /* when its end was told it is the end, whatever was left */
    job->retries =
        note->over ? 0 : (uint8_t)spawn_retry_left(order, note->attempt);
}

/* It was due. A slot's message is nothing that a broker has checked. */
static void take_rules_found(spawn_job *job, const spawn_message *m)
{
    spawn_failure why;

    if (spawn_rules_check(m, &why) == 0)
        spawn_rules_take(job, m, job->submitted_at);
    if (job->rules)
        spawn_moment_at(&job->rules->due, 0);
}

static spawn_job *found_job(const spawn_incoming *in,
                            const spawn_inbox_found *found)
{
    const spawn_inbox_note *note = found->note;
    spawn_body *body = spawn_body_new(in->attrs, in->length);
    spawn_job *job;

    if (!body)
        return NULL;
    job = spawn_incoming_job(in, body);
    if (note)
        take_note(job, note, in->m);
    job->launched = job->may_run_unstored = found->launched;
    if (found->launched)
        take_rules_found(job, in->m);
    else /* as it was checked */
        spawn_rules_take(job, in->m, job->submitted_at);
    return job;
}

/* The spawner tells which job it was, when it runs or has ended. */
static void tell_unreadable(const spawn_inbox_note *note, const char *why)
{
    char id[SPAWN_ID_TEXT] = "of an unknown id";

    if (note)
        (void)spawn_id_format(&note->id, id);
    spawn_log_few("httpd's children", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0573) "a job that was launched before it was stored "
                             "cannot be read in the inbox, and is not in the "
                             "history: job %s: %s",
                  id, why);
}

static bool read_found(spawn_incoming *in, const spawn_inbox_found *found,
                       spawn_message *m)
{
    const spawn_inbox_note *note = found->note;
    spawn_failure why;

    if (spawn_inbox_parse(found->data, found->length, found->own, m, &why)) {
        tell_unreadable(note, why.text);
        return false;
    }
    spawn_incoming_fill(in, m, found->data, found->length);
    if (!note || spawn_id_equal(&in->id, &note->id))
        return true;
    tell_unreadable(note, "the message is another job's");
    return false;
}

int spawn_submit_found(spawn_batch *batch, const spawn_inbox_found *found,
                       spawn_job **ret)
{
    const spawn_inbox_note *note = found->note;
    spawn_incoming in = {.batch = batch,
                         .slot = found->slot,
                         .uid = note ? note->caller_uid : geteuid(),
                         .pid = note ? note->caller_pid : 0};
    spawn_message m;
    spawn_known known;
    int rv = 1;

    *ret = NULL;
    if (read_found(&in, found, &m) && !spawn_job_find(&in.id))
        rv = spawn_store_find(batch->store, &in.id, &known);
    if (rv == 0)
        *ret = found_job(&in, found);
    else if (rv == 1)
        spawn_inbox_free(found->slot);
    return rv < 0 || (rv == 0 && !*ret) ? -1 : 0;
}

/* ---- the ledger ---- */

/* Its times are those of the first broker that had it. */
static void take_row(spawn_job *job, const spawn_ledger_record *row,
                     const spawn_message *m)
{
    job->submitted_at = row->submitted_at;
    job->promised = true;
    job->ledger = row->state == SPAWN_LEDGER_IS_WAITING
                      ? SPAWN_IN_LEDGER_WAITS
                      : SPAWN_IN_LEDGER_ORDERED;
    if (row->attempt > 1) {
        job->attempt = row->attempt;
        job->retries = (uint8_t)spawn_retry_left(m, row->attempt);
    }
    if (row->due_at)
        spawn_moment_at(&spawn_rules_get(job)->due, spawn_ledger_due(row));
}

spawn_job *spawn_submit_ledgered(spawn_batch *batch,
                                 const spawn_ledger_record *row,
                                 const void *message)
{
    spawn_incoming in = {
        .batch = batch, .left = true, .uid = row->uid, .pid = row->pid};
    spawn_failure why;
    spawn_message m;
    spawn_body *body;
    spawn_job *job;

    if (spawn_message_parse(message, row->length, SPAWN_FROM_CALLER, 0, &m,
                            &why)
        || spawn_job_check(&m, &why) < 0 || !spawn_incoming_is(&m, &row->id))
        return NULL;
    spawn_incoming_fill(&in, &m, message, row->length);
    body = spawn_body_new(in.attrs, in.length);
    if (!body)
        return NULL;
    job = spawn_incoming_job(&in, body);
    spawn_rules_take(job, &m, row->submitted_at);
    take_row(job, row, &m);
    spawn_admit_again(job, &m,
                      row->state == SPAWN_LEDGER_IS_WAITING && row->attempt <= 1
                          && !row->chosen);
    return job;
}
