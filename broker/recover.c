/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery. Runs in the broker, once at its start. Must never run a job twice,
 * nor hide that one was lost.
 *
 * Three sources: the store and the inbox say what was accepted or launched, the
 * spawner says what lives and what has ended, /proc tells of jobs whose spawner
 * has gone. A job of which none of them knows the end is called lost.
 */
#include "broker/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_box.h"
#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_retry.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/needs.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/job/unique.h"
#include "broker/process/keep.h"
#include "broker/process/link.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/worker.h"
#include "broker/store/launches.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/graces.h"
#include "broker/run/pool.h"
#include "broker/run/started.h"
#include "broker/caller/inbox.h"
#include "broker/caller/submit.h"
#include "broker/broker.h"

/* One message of the table, in memory of its own. */
typedef struct {
    spawn_id id;
    uint16_t type;
    bool used;
    uint8_t *data;
    size_t length;
    unsigned fds_count;
    int *fds;
} told;

static told *table;
static size_t table_used, table_room;
static bool same_boot;

/* ---- the table ---- */

static void keep(const spawn_id *id, uint16_t type, const spawn_packet *p)
{
    told *t;

    table = spawn_array_grow(table, table_used, &table_room, sizeof(*table));
    t = &table[table_used++];
    *t = (told){.id = *id,
                .type = type,
                .length = p->length,
                .fds_count = p->fds_count};
    t->data = spawn_alloc(p->length);
    memcpy(t->data, p->data, p->length);
    t->fds = spawn_alloc((p->fds_count + 1) * sizeof(int));
    memcpy(t->fds, p->fds, p->fds_count * sizeof(int));
}

void spawn_recover_running(const spawn_id *id, const spawn_message *m,
                           spawn_packet *p)
{
    (void)m;
    if (spawn_phase.recovered)
        return;
    keep(id, SPAWN_M_RUNNING, p);
    p->fds_count = 0;
}

void spawn_recover_held(const spawn_id *id, spawn_packet *p)
{
    if (spawn_phase.recovered)
        return;
    keep(id, SPAWN_M_HELD, p);
    p->fds_count = 0;
}

void spawn_recover_told(const spawn_id *id, const spawn_message *m,
                        const spawn_packet *p)
{
    keep(id, m->header.type, p);
}

static int by_id(const void *a, const void *b)
{
    const told *x = a, *y = b;
    int rv = memcmp(x->id.bytes, y->id.bytes, SPAWN_ID_SIZE);

    return rv ? rv : (int)x->type - (int)y->type;
}

static told *find(const spawn_id *id, uint16_t type)
{
    const told key = {.id = *id, .type = type};
    told *t = table_used ? bsearch(&key, table, table_used, sizeof(told), by_id)
                         : NULL;
    if (t)
        t->used = true;
    return t;
}

static int parse(const told *t, spawn_message *ret)
{
    return spawn_message_parse(t->data, t->length, SPAWN_FROM_SPAWNER,
                               t->fds_count, ret, NULL);
}

/* The same of this attempt at a job. Of one before it the store has all, and
 * the spawner is to forget it: its FORGET was lost with the broker. */
static told *find_told(const spawn_job *job, uint16_t type)
{
    told *t = find(&job->id, type);
    spawn_message m;

    if (!t || parse(t, &m)
        || spawn_u64_or(&m, SPAWN_A_ATTEMPT, 0) == spawn_job_attempt_mark(job))
        return t;
    spawn_link_send_id(SPAWN_M_FORGET, &job->id, NULL, 0);
    return NULL;
}

static void free_table(void)
{
    unsigned i;

    for (i = 0; i < table_used; i++) {
        spawn_close_passed(table[i].fds, table[i].fds_count);
        free(table[i].fds);
        free(table[i].data);
    }
    free(table);
    table = NULL;
    table_used = table_room = 0;
}

/* ---- jobs that live ---- */

static int take_fd(told *t, unsigned index)
{
    int fd = t->fds[index];

    t->fds[index] = -1;
    return fd;
}

static void adopt_kept(spawn_job *job, told *t, const spawn_message *m,
                       uint64_t limit)
{
    static const spawn_keep_role pipes[] = {SPAWN_KEEP_OUT_PIPE,
                                            SPAWN_KEEP_ERR_PIPE};
    static const spawn_keep_role files[] = {SPAWN_KEEP_OUT_FILE,
                                            SPAWN_KEEP_ERR_FILE};
    char who[SPAWN_WHO];
    int which;

    for (which = 0; which < 2; which++) {
        int pipe = spawn_keep_take(m, t->fds, pipes[which]);
        int file = spawn_keep_take(m, t->fds, files[which]);

        if (pipe >= 0)
            spawn_output_adopt(job->streams, spawn_output_who(&job->id, who),
                               which, pipe, file, limit);
        else
            spawn_close_fds(&file, 1);
    }
    spawn_perl_adopt_board(job, spawn_keep_take(m, t->fds, SPAWN_KEEP_BOARD));
}

/* Read from the order what is needed of a job that runs. ret_vhost: heap, or
 * NULL. */
static uint64_t read_order(spawn_job *job, char **ret_vhost)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    uint64_t capture = SPAWN_DEFAULT_CAPTURE;
    const char *vhost;
    spawn_message m;

    job->grace_ms = SPAWN_DEFAULT_GRACE_MS;
    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0) {
        spawn_queue_limits(job, &m);
        capture = spawn_u64_or(&m, SPAWN_A_CAPTURE_LIMIT, capture);
        vhost = spawn_logs_vhost(&m);
        if (ret_vhost && vhost)
            *ret_vhost = spawn_strdup(vhost);
    }
    free(read);
    return capture;
}

static void take_running(spawn_job *job, told *t)
{
    char *vhost = NULL;
    uint64_t capture = read_order(job, &vhost);
    int64_t now = spawn_mono_ms();
    spawn_message m;
    spawn_id template;
    int rv;

    rv = parse(t, &m);
    if (rv == 0)
        adopt_kept(job, t, &m, capture);
    spawn_output_belongs(job->streams, vhost);
    free(vhost);
    if (rv < 0)
        return;
    if (!spawn_has(&m, SPAWN_A_PID)
        || spawn_attr_u64(&m.attr[SPAWN_A_STATE]) == SPAWN_STATE_STARTING) {
        spawn_job_on(job, SPAWN_JOB_FOUND_STARTING);
        spawn_end_ordered(job);
        if (job->perl && spawn_has(&m, SPAWN_A_TEMPLATE_ID)) {
            spawn_attr_id(&m.attr[SPAWN_A_TEMPLATE_ID], &template);
            spawn_perl_ordered(job, &template);
        }
        return;
    }
    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    job->pid = (pid_t)spawn_attr_u64(&m.attr[SPAWN_A_PID]);
    job->mono_started =
        (int64_t)spawn_u64_or(&m, SPAWN_A_MONO_STARTED, (uint64_t)now);
    job->boot_started = (int64_t)spawn_u64_or(&m, SPAWN_A_BOOT_STARTED, 0);
    if (!job->started_at)
        job->started_at = spawn_wall_ms() - (now - job->mono_started);
    spawn_end_arm(job, now - job->mono_started);
}

static void take_exit(spawn_job *job, const told *t)
{
    spawn_message m;

    if (parse(t, &m))
        return;
    spawn_started_with_end(&t->id, &m);
    spawn_end_exited(job, &m);
}

static void take_orphan(spawn_job *job, const told *t)
{
    spawn_message m;

    if (parse(t, &m) == 0)
        spawn_end_orphaned(job, &m);
}

/* ---- jobs that wait ---- */

static void fail_handles(spawn_job *job)
{
    spawn_body *body = spawn_store_body(job);
    spawn_step step = SPAWN_STEP_FDS;
    spawn_message m;

    if (spawn_body_read(job, body, &m, NULL) == 0)
        step = spawn_body_fd_step(&m);
    free(body);
    spawn_end_start_failed(job, step, EBADF,
                           "the handles that it was submitted with did not "
                           "outlive the server's stop");
}

/* Take its handles from their box, which stays with the spawner. */
static void take_held(spawn_job *job, told *t)
{
    unsigned count = t->fds_count, i;
    int fds[SPAWN_FDS_MAX];
    spawn_message m;
    int rv = 0;

    if (parse(t, &m))
        return;
    if (spawn_u64_or(&m, SPAWN_A_BOXED, 0)) {
        rv = count == 1 ? spawn_box_look(t->fds[0], fds, SPAWN_FDS_MAX) : -1;
        count = rv > 0 ? (unsigned)rv : 0;
    }
    else {
        for (i = 0; i < count; i++)
            fds[i] = take_fd(t, i);
    }
    if (count == 0)
        return;
    job->held = spawn_alloc(sizeof(*job->held) + count * sizeof(int));
    job->held->count = count;
    memcpy(job->held->fds, fds, count * sizeof(int));
}

static void wait_again(spawn_job *job)
{
    told *t;

    if (job->cancel) { /* its order was still on its way */
        (void)spawn_end_job(job, SPAWN_OUTCOME_CANCELLED);
        return;
    }
    t = find(&job->id, SPAWN_M_HELD);
    if (t)
        take_held(job, t);
    if (job->fds && (!job->held || job->held->count != job->fds)) {
        fail_handles(job);
        return;
    }
    spawn_pool_join(job);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
}

/* ---- jobs of a spawner that has gone ---- */

static void lose(spawn_job *job, spawn_outcome outcome, const char *text)
{
    spawn_end *end = spawn_end_job(job, outcome);

    spawn_end_say(end, "%s", text);
}

/* Broker and spawner had the pipes that it captured. */
static void lose_outputs(spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        spawn_output_lost(job, &m);
    free(read);
}

static void find_orphan(spawn_job *job, spawn_state state)
{
    lose_outputs(job);
    spawn_pool_join(job); /* is it a call? */
    if (!same_boot) {
        lose(job, SPAWN_OUTCOME_LOST, "the machine was started anew");
    }
    else if (state == SPAWN_STATE_STARTING) {
        lose(job, SPAWN_OUTCOME_LOST,
             "the spawner ended while it was being started");
    }
    else if (spawn_end_follow(job)) {
        (void)read_order(job, NULL);
        spawn_end_arm(job, spawn_orphan_age(job));
    }
    else {
        (void)read_order(job, NULL);
        lose(job,
             job->timed_out ? SPAWN_OUTCOME_TIMED_OUT : SPAWN_OUTCOME_ENDED,
             job->outputs_lost
                 ? "it ended when neither its spawner nor a broker was there; "
                   "what it wrote is lost"
                 : "it ended when neither its spawner nor a broker was there");
    }
}

/* state and life: as they were noted. */
static void find_out(spawn_job *job, spawn_state state, const spawn_id *life)
{
    bool same_instance = spawn_id_equal(life, &spawn_conf.spawner_life);
    spawn_worker *worker = spawn_pool_ticket(&job->id, job->attempt);
    told *running = find_told(job, SPAWN_M_RUNNING);
    told *exited = find_told(job, SPAWN_M_EXITED);
    told *orphaned = find_told(job, SPAWN_M_ORPHANED);

    if (running)
        take_running(job, running);
    if (worker && job->perl) {
        spawn_pool_take_up(worker, job);
    }
    else if (exited) {
        take_exit(job, exited);
    }
    else if (orphaned) {
        take_orphan(job, orphaned);
    }
    else if (running) {
        return;
    }
    else if (state == SPAWN_STATE_QUEUED) {
        wait_again(job);
    }
    else if (state == SPAWN_STATE_STARTING && same_instance && same_boot) {
        wait_again(job); /* the order never reached the spawner */
        spawn_job_changed(job);
    }
    else {
        find_orphan(job, state);
    }
}

static void take_rules(spawn_job *job, const spawn_open_row *r)
{
    spawn_rules *rules;

    if (!spawn_moment_is_set(&r->due) && !spawn_moment_is_set(&r->expires))
        return;
    rules = spawn_rules_get(job);
    rules->due.wall = r->due.wall;
    rules->due.boot = r->due.boot;
    rules->expires.wall = r->expires.wall;
    rules->expires.boot = r->expires.boot;
}

/* An older release stored it. */
static uint8_t retries_of(const spawn_job *job)
{
    spawn_body *read = spawn_store_body(job);
    spawn_message m;
    unsigned most = 0;

    if (spawn_body_read(job, read, &m, NULL) == 0)
        most = spawn_retry_most(&m);
    free(read);
    return (uint8_t)most;
}

/* ---- durable jobs ---- */

static bool order_is_durable(const spawn_job *job)
{
    spawn_body *read = spawn_store_body(job);
    spawn_message m;
    bool durable = spawn_body_read(job, read, &m, NULL) == 0
                   && spawn_u64_or(&m, SPAWN_A_DURABLE, 0);

    free(read);
    return durable;
}

static void end_as_row(spawn_job *job, const spawn_durable_row *row)
{
    const spawn_ledger_end *e = &row->record.end;
    spawn_end *end = spawn_end_job(job, (spawn_outcome)e->outcome);

    end->exit_code = e->exit_code;
    end->signo = e->signo;
    end->core = e->core != 0;
    end->step = (spawn_step)e->step;
    end->error = e->error;
    end->ended_at = e->ended_at;
    end->elapsed_us = e->elapsed_us;
    end->rusage_count = e->rusage_count;
    memcpy(end->rusage, e->rusage, sizeof(end->rusage));
    if (row->text)
        spawn_end_say(end, "%s", row->text);
    job->pid = e->pid;
    job->started_at = e->started_at;
    job->told = job->judged = true; /* by the broker that wrote it */
}

static void take_attempt(spawn_job *job, const spawn_durable_row *row)
{
    spawn_message m;

    if (row->record.attempt <= job->attempt
        || spawn_message_parse(row->message, row->record.length,
                               SPAWN_FROM_CALLER, 0, &m, NULL))
        return;
    job->attempt = row->record.attempt;
    job->retries = (uint8_t)spawn_retry_left(&m, job->attempt);
}

/* What the store says of an open job counts within a boot; after another one
 * the store may be older than the ledger. True: that is all. */
static bool ask_ledger(spawn_job *job, uint8_t *state, spawn_id *life)
{
    const spawn_durable_row *row = spawn_durable_row_of(&job->id);

    if (!row) {
        if (spawn_durable_unread() && order_is_durable(job))
            job->ledger = SPAWN_IN_LEDGER_WAITS;
        return false;
    }
    job->ledger = row->record.state == SPAWN_LEDGER_IS_WAITING
                      ? SPAWN_IN_LEDGER_WAITS
                      : SPAWN_IN_LEDGER_ORDERED;
    /* A broker before us may have ended when the store had the new boot, and
     * not yet what it found. */
    if (same_boot && !spawn_durable_other_boot())
        return false;
    if (row->record.state == SPAWN_LEDGER_IS_ENDED) {
        end_as_row(job, row);
        return true;
    }
    take_attempt(job, row);
    if (row->record.state == SPAWN_LEDGER_IS_WAITING)
        *state = SPAWN_STATE_QUEUED;
    else if (*state == SPAWN_STATE_QUEUED)
        *state = SPAWN_STATE_STARTING;
    memset(life, 0, sizeof(*life));
    return false;
}

static bool unread; /* a job's needs could not be read: it must not start */

/* Whom it comes after, before it is queued. */
static void take_order(spawn_job *job, const spawn_open_row *r)
{
    uint8_t ids[SPAWN_AFTER_MAX * SPAWN_ID_SIZE];
    unsigned count = 0;

    if (r->needs
        && spawn_store_needs(job->batch->store, r->seq, ids, &count) < 0)
        unread = true;
    else if (count > 0)
        spawn_needs_make(job, ids, count, r->needs - 1);
    if (r->has_key)
        spawn_claim_found(job, r->unique, &r->unique_until, r->has_begun);
}

static void one_job(spawn_batch *batch, const spawn_open_row *r)
{
    uint8_t state = (uint8_t)r->state;

    spawn_job *job = spawn_job_new(batch, &r->id);
    spawn_id life = r->instance;

    job->in_store = job->input_stored = true;
    job->seq = r->seq;
    job->digest = r->digest;
    job->fds = (uint8_t)r->fds;
    job->cancel = (uint8_t)r->cancel;
    job->submitted_at = r->submitted_at;
    job->started_at = r->started_at;
    job->boot_started = r->boot_started;
    job->pid = r->pid;
    job->attempt = (uint16_t)r->attempt;
    job->retries = r->retries < 0 ? retries_of(job) : (uint8_t)r->retries;
    job->priority = (int8_t)r->priority;
    spawn_graces_note(job);
    take_rules(job, r);
    spawn_queue_join(job, r->queue);
    take_order(job, r);
    if (r->template)
        spawn_perl_make(job, *r->template ? r->template : NULL);
    if (r->state == SPAWN_STATE_QUEUED)
        job->noted = (uint16_t)spawn_launches_find(batch->store, &r->id,
                                                   job->attempt, &life);
    if (!ask_ledger(job, &state, &life))
        find_out(job, job->noted ? SPAWN_STATE_STARTING : (spawn_state)state,
                 &life);
    if (job->state == SPAWN_STATE_QUEUED) {
        /* else a broker after us might call it lost */
        spawn_launches_undo(job);
        spawn_durable_follow(job); /* it may wait for long */
    }
    else {
        spawn_job_changed(job); /* it may be noted only */
    }
}

/* It has ended, as the store knows. */
static void ledger_follows(spawn_store *store, const spawn_durable_row *row)
{
    int64_t started;
    spawn_end end;
    pid_t pid;

    if (row->record.state == SPAWN_LEDGER_IS_ENDED
        || !spawn_store_end_of(store, &row->record.id, &end, &pid, &started))
        return;
    spawn_durable_ended(&row->record.id, &end, pid, started);
    free(end.text);
}

/* The store does not have it: it was lost with the power, or damaged, or a
 * broker ended between two commits. */
static void take_in(spawn_batch *batch, const spawn_durable_row *row)
{
    static const spawn_id unknown;
    char id[SPAWN_ID_TEXT];
    spawn_job *job;

    if (row->record.state == SPAWN_LEDGER_IS_ENDED
        && spawn_store_forgotten(batch->store, &row->record.id)) {
        spawn_durable_drop(&row->record.id);
        return;
    }
    job = spawn_submit_ledgered(batch, &row->record, row->message);
    if (!job) {
        spawn_log_few("durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0865) "durable job %s cannot be read, and is left "
                                 "out",
                      spawn_id_format(&row->record.id, id));
        return;
    }
    if (row->record.state == SPAWN_LEDGER_IS_ENDED)
        end_as_row(job, row);
    else
        find_out(job,
                 row->record.state == SPAWN_LEDGER_IS_WAITING
                     ? SPAWN_STATE_QUEUED
                     : SPAWN_STATE_STARTING,
                 &unknown);
    spawn_job_changed(job);
}

static int one_row(spawn_batch *batch, const spawn_durable_row *row)
{
    spawn_known known;
    int rv;

    if (spawn_job_find(&row->record.id))
        return 0;
    rv = spawn_store_find(batch->store, &row->record.id, &known);
    if (rv == 1)
        ledger_follows(batch->store, row);
    else if (rv == 0)
        take_in(batch, row);
    return rv < 0 ? -1 : 0;
}

static int all_rows(spawn_batch *batch)
{
    spawn_durable_row *row;

    same_boot = !spawn_durable_other_boot();
    while ((row = spawn_durable_next_row())) {
        if (one_row(batch, row))
            return -1;
    }
    return 0;
}

/* Its job waits, and was not started since. */
void spawn_recover_late(void *of, spawn_durable_row *row)
{
    spawn_broker *broker = of;
    spawn_job *job = spawn_job_find(&row->record.id);

    same_boot = !spawn_durable_other_boot();
    if (!job) {
        (void)one_row(&broker->batch, row);
        return;
    }
    if (same_boot || job->state != SPAWN_STATE_QUEUED
        || row->record.state == SPAWN_LEDGER_IS_WAITING)
        return;
    if (row->record.state == SPAWN_LEDGER_IS_ENDED)
        end_as_row(job, row);
    else
        lose(job, SPAWN_OUTCOME_LOST, "the machine was started anew");
}

/* Its end was told, and nobody else has it any more. */
static void take_noted_end(spawn_job *job, const spawn_inbox_note *note)
{
    spawn_end *end = spawn_end_job(job, note->end.outcome);

    *end = note->end;
    job->judged = true; /* as its caller was told */
    end->text = NULL;   /* a pointer of another process, if anything */
    job->in_table = find(&job->id, SPAWN_M_RUNNING) != NULL; /* given up */
    lose_outputs(job);
    if (job->outputs_lost)
        spawn_end_say(end, "what it wrote is lost");
}

/* Do the spawner, or a worker's ticket, have this job? */
static bool is_told(const spawn_id *id)
{
    return find(id, SPAWN_M_RUNNING) || find(id, SPAWN_M_EXITED)
           || spawn_pool_ticket(id, 1);
}

/* A call was sent when the ticket of its worker says so. A worker that is not
 * there cannot tell. */
static spawn_state noted_state(const spawn_inbox_note *note)
{
    const spawn_worker *w = NULL;

    if (!note->of_worker)
        return note->pid ? SPAWN_STATE_RUNNING : SPAWN_STATE_STARTING;
    while ((w = spawn_worker_next(w))
           && (w->pid != note->pid || w->boot_started != note->boot_started))
        ;
    return w ? SPAWN_STATE_STARTING : SPAWN_STATE_RUNNING;
}

static void of_slot(spawn_job *job, const spawn_inbox_note *note)
{
    static const spawn_id unknown;

    if (!note && !is_told(&job->id))
        lose(job, SPAWN_OUTCOME_LOST,
             "another release of mod_spawn launched it, and what it noted of "
             "it cannot be read by this one");
    else if (note && note->over && !find(&job->id, SPAWN_M_EXITED)
             && !spawn_pool_ticket(&job->id, 1))
        take_noted_end(job, note);
    else
        find_out(job, note ? noted_state(note) : SPAWN_STATE_STARTING,
                 note ? &note->life : &unknown);
}

/* It was launched before it was stored. */
static int one_slot(spawn_batch *batch, unsigned slot, const void *data,
                    size_t length, const spawn_inbox_note *note)
{
    spawn_job *job;
    int rv = spawn_submit_found(batch, slot, data, length, note, &job);

    if (!job)
        return rv;
    spawn_graces_note(job);
    same_boot = true; /* the inbox is memory */
    of_slot(job, note);
    if (job->state == SPAWN_STATE_QUEUED)
        spawn_inbox_waits_again(job);
    spawn_job_store_now(job);
    spawn_job_changed(job);
    return 0;
}

static void tell_worker(spawn_worker *w, const told *t)
{
    spawn_message m;

    if (parse(t, &m))
        return;
    if (t->type == SPAWN_M_ORPHANED)
        spawn_worker_orphaned(w, &m);
    else
        spawn_worker_exited(w, &m);
}

/* Entries of the spawner's table that are no open job of the store. */
static void rest_of_table(spawn_store *store)
{
    char text[SPAWN_ID_TEXT];
    unsigned i;

    for (i = 0; i < table_used; i++) {
        told *t = &table[i];
        spawn_worker *worker;
        spawn_known known;
        int rv;

        if (t->used)
            continue;
        worker = spawn_worker_find(&t->id);
        if (worker) {
            tell_worker(worker, t);
            continue;
        }
        if (t->type == SPAWN_M_HELD) {
            spawn_link_send_id(SPAWN_M_RELEASE, &t->id, NULL, 0);
            continue;
        }
        rv = spawn_store_find(store, &t->id, &known);
        if (rv == 0 && t->type == SPAWN_M_RUNNING)
            spawn_log_few(
                "all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                MSNO(0585) "job %s runs, and the store does not know it",
                spawn_id_format(&t->id, text));
        if (t->type != SPAWN_M_RUNNING)
            spawn_link_send_id(SPAWN_M_FORGET, &t->id, NULL, 0);
    }
}

/* ---- all of it ---- */

static bool has_exited(const spawn_id *id)
{
    return find(id, SPAWN_M_EXITED) != NULL;
}

/* Messages that came while the disk was full, before the jobs were read. */
static void tell_started(void)
{
    spawn_message m;
    unsigned i;

    for (i = 0; i < table_used; i++) {
        if (table[i].type != SPAWN_M_STARTED)
            continue;
        table[i].used = true;
        if (parse(&table[i], &m) == 0)
            spawn_started(&table[i].id, &m);
    }
}

int spawn_recover(spawn_batch *batch, spawn_failure *why, bool *ret_full)
{
    spawn_store *store = batch->store;
    char last[37], now[37] = "";
    int rv = -1;

    (void)spawn_os_boot_id(now);
    if (spawn_store_boot(store, last) < 0) {
        *ret_full = spawn_store_full(store);
    }
    else {
        if (table_used)
            qsort(table, table_used, sizeof(told), by_id);
        same_boot = strcmp(last, now) == 0;
        spawn_keys_begin();
        rv = spawn_graces_read(store);
        if (rv == 0)
            rv = spawn_store_holds(store);
        if (rv == 0)
            rv = spawn_store_open_jobs(batch, one_job);
        if (unread)
            rv = -1;
        if (rv == 0)
            rv = spawn_inbox_recover(one_slot, batch);
        if (rv == 0)
            rv = all_rows(batch);
        spawn_pools_recover(batch);
    }
    if (rv < 0) { /* the table is needed again */
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "the store in %.160s cannot be read: %.80s",
                          spawn_conf.store_path, spawn_store_error(store));
        return rv;
    }
    spawn_graces_take(batch, has_exited);
    tell_started();
    rest_of_table(store);
    spawn_queues_warn();
    spawn_durable_recovered();
    free_table();
    return 0;
}

/* ---- before it came to that ---- */

static bool has_ended(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < table_used; i++) {
        if ((table[i].type == SPAWN_M_EXITED
             || table[i].type == SPAWN_M_ORPHANED)
            && spawn_id_equal(&table[i].id, id))
            return true;
    }
    return false;
}

bool spawn_recover_anything_runs(void)
{
    unsigned i;

    for (i = 0; i < table_used; i++) {
        if (table[i].type == SPAWN_M_RUNNING && !has_ended(&table[i].id))
            return true;
    }
    return false;
}

unsigned spawn_recover_give_up(void (*lost)(const spawn_id *id,
                                            const char *how))
{
    unsigned i, count = 0;
    spawn_message m;
    char how[64];

    for (i = 0; i < table_used; i++) {
        if (table[i].type != SPAWN_M_EXITED || parse(&table[i], &m))
            continue;
        if (spawn_has(&m, SPAWN_A_WAIT_STATUS))
            (void)snprintf(
                how, sizeof(how), "wait status 0x%04x",
                (unsigned)spawn_attr_u64(&m.attr[SPAWN_A_WAIT_STATUS]));
        else
            (void)snprintf(how, sizeof(how), "could not be started");
        count++;
        lost(&table[i].id, how);
    }
    return count;
}
