/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs: what has to be on the disk before something happens to one.
 * Runs in the broker. Must answer or launch no durable job before the scribe
 * has said so, and must not wait for it.
 */
#include "broker/run/durable.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/process/scribe.h"
#include "broker/store/commit.h"
#include "broker/store/ledger.h"
#include "broker/run/durable_ask.h"
#include "broker/run/durable_follow.h"

#define READ_WITHIN    4000 /* ms; httpd waits 10 s for us */
#define BACKLOG_MAX    (32u << 20)
#define COMPLAIN_AGAIN 60000
#define NOTE_AGAIN     1000
#define LATE_A_TURN    256
/* ms. The store is not synced: after a power cut it may say that a job waits
 * which ended, and was forgotten, within the time the kernel keeps pages; or it
 * does not have an end that it had from the ledger. */
#define FORGET_AFTER 120000

static const spawn_durable_events *to;
static void *to_what;

static enum {
    NOT_BEGUN,
    READING,
    BEGUN
} stage;
static bool taking_late; /* rows that came late, some a turn */
static spawn_timer late_timer;
static bool opening; /* the scribe is being started by spawn_durable_begin */
static bool rows_there, other_boot;
static bool read_due;        /* the ledger is to be of this boot */
static bool old_boot;        /* it is not yet */
static int64_t stored_since; /* mono ms: the store has what was found; 0: not */
static spawn_timer patience, again;

static spawn_durable_row *rows; /* by id, when all are there */
static size_t rows_used, rows_room, next_row;
static size_t *in_turn; /* the same in the order of their submits */

/* The rows of a ledger that was there when the broker began are still to be
 * taken. Until then it may know a job that a caller submits. */
static bool owed;
static char trouble[300]; /* as the scribe says; "": none */
static int64_t complained_at;

void spawn_durable_open(const spawn_durable_events *events, void *of)
{
    to = events;
    to_what = of;
}

/* ---- trouble ---- */

static void complain(const char *why)
{
    int64_t now = spawn_mono_ms();

    if (complained_at && now - complained_at < COMPLAIN_AGAIN)
        return;
    complained_at = now;
    spawn_log_few(
        "durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0696) "durable jobs cannot be stored in %s: %s; they are "
                   "refused until they can, and those that wait go on "
                   "waiting",
        spawn_conf.store_path, why);
}

/* One of the two reasons to refuse them may be over, and the other one not. */
static void perhaps_over(void)
{
    if (trouble[0] || owed)
        return;
    if (complained_at)
        spawn_log_few("durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_NOTICE,
                      MSNO(0697) "durable jobs are stored again");
    complained_at = 0;
}

static bool takes_nothing(void)
{
    return trouble[0] != '\0' || (stage == BEGUN && spawn_durable_unread());
}

bool spawn_durable_in_trouble(const spawn_job *job)
{
    /* of an order in it nobody would know of which boot it is */
    return takes_nothing() || old_boot
           || !spawn_store_ledger_known(job->batch->store)
           || spawn_commit_waits(job->batch->store);
}

bool spawn_durable_undecided(const spawn_job *job)
{
    return job->ledger
           && (job->ledger == SPAWN_IN_LEDGER_UNREAD
               || !spawn_store_ledger_known(job->batch->store));
}

bool spawn_durable_idle(void)
{
    return spawn_scribe_idle();
}

/* ---- what the ledger has ---- */

static int by_id(const void *a, const void *b)
{
    const spawn_durable_row *x = a, *y = b;

    return memcmp(x->record.id.bytes, y->record.id.bytes, SPAWN_ID_SIZE);
}

/* Ids are made by callers, and so are in no order of submits. */
static int by_turn(const void *a, const void *b)
{
    const spawn_durable_row *x = &rows[*(const size_t *)a],
                            *y = &rows[*(const size_t *)b];

    return x->number < y->number ? -1 : x->number > y->number;
}

static void put_in_turn(void)
{
    size_t i;

    in_turn = spawn_alloc((rows_used + 1) * sizeof(*in_turn));
    for (i = 0; i < rows_used; i++)
        in_turn[i] = i;
    qsort(in_turn, rows_used, sizeof(*in_turn), by_turn);
}

static void free_rows(void)
{
    size_t i;

    for (i = 0; i < rows_used; i++) {
        free(rows[i].message);
        free(rows[i].text);
    }
    free(rows);
    free(in_turn);
    rows = NULL;
    in_turn = NULL;
    rows_used = rows_room = next_row = 0;
}

static void row(const spawn_ledger_record *r, const void *message,
                const char *text)
{
    spawn_durable_row *it;

    rows = spawn_array_grow(rows, rows_used, &rows_room, sizeof(*rows));
    it = &rows[rows_used++];
    *it = (spawn_durable_row){.record = *r, .number = rows_used};
    it->message = spawn_alloc(r->length + 1);
    memcpy(it->message, message, r->length);
    it->text = *text ? spawn_strdup(text) : NULL;
}

static void tell_begun(void)
{
    if (stage == BEGUN)
        return;
    stage = BEGUN;
    spawn_timer_clear(&patience);
    if (!opening)
        to->begun(to_what);
}

static void rows_recovered(void)
{
    free_rows();
    read_due = old_boot = other_boot;
    other_boot = false;
}

static void take_late(spawn_timer *t);

static void take_more(int64_t at)
{
    late_timer.fire = take_late;
    spawn_timer_set(&late_timer, at);
}

/* Some, since there may be very many, and callers wait. One that the ledger
 * does not have is like other jobs; but it stays in its lane. */
static void take_late(spawn_timer *t)
{
    spawn_durable_row *late = NULL;
    unsigned left = LATE_A_TURN;

    (void)t;
    while (left-- > 0 && (late = spawn_durable_next_row())) {
        if (to->late(to_what, late) < 0) { /* the store fails */
            next_row--;
            take_more(spawn_mono_ms() + NOTE_AGAIN);
            return;
        }
    }
    if (late) {
        take_more(spawn_mono_ms() + 1); /* in another turn */
        return;
    }
    taking_late = owed = false;
    rows_recovered();
    perhaps_over();
    to->late_end(to_what);
}

/* A scribe that could not read all began anew, and sent some twice. */
static void drop_doubles(void)
{
    size_t i, kept = 0;

    for (i = 0; i < rows_used; i++) {
        if (kept && by_id(&rows[kept - 1], &rows[i]) == 0) {
            free(rows[i].message);
            free(rows[i].text);
        }
        else {
            rows[kept++] = rows[i];
        }
    }
    rows_used = kept;
}

/* When the store could not be opened yet, the recovery is still to come, and
 * reads them. */
static void rows_end(bool of_other_boot)
{
    taking_late = stage == BEGUN && spawn_phase.recovered;
    rows_there = true;
    stored_since = 0;
    other_boot = of_other_boot;
    if (!taking_late) {
        owed = false;
        perhaps_over();
    }
    if (rows_used)
        qsort(rows, rows_used, sizeof(*rows), by_id);
    drop_doubles();
    put_in_turn();
    if (taking_late)
        take_late(NULL);
    else
        tell_begun();
}

static void too_late(spawn_timer *t)
{
    (void)t;
    complain("what is stored of them could not be read within 4 s");
    tell_begun();
}

const spawn_durable_row *spawn_durable_row_of(const spawn_id *id)
{
    const spawn_durable_row key = {.record.id = *id};
    spawn_durable_row *it =
        rows_there && rows_used
            ? bsearch(&key, rows, rows_used, sizeof(*rows), by_id)
            : NULL;

    if (it)
        it->used = true;
    return it;
}

spawn_durable_row *spawn_durable_next_row(void)
{
    while (rows_there && next_row < rows_used) {
        spawn_durable_row *it = &rows[in_turn[next_row++]];

        if (!it->used)
            return it;
    }
    return NULL;
}

bool spawn_durable_other_boot(void)
{
    return other_boot;
}

bool spawn_durable_unread(void)
{
    return spawn_scribe_wanted() && (!rows_there || taking_late);
}

bool spawn_durable_read(void)
{
    return spawn_scribe_wanted() && rows_there && !taking_late;
}

bool spawn_durable_lacks(const spawn_job *job)
{
    return job->ledger && !spawn_durable_unread()
           && !spawn_durable_row_of(&job->id);
}

static void look_again(spawn_timer *t)
{
    (void)t; /* it is noted at the end of this turn */
}

/* False: the store does not take that now. */
static bool note_read(spawn_store *store)
{
    bool known = spawn_store_ledger_known(store);

    if ((known && spawn_store_ledger_was(store)) || !spawn_durable_read())
        return true;
    if (spawn_store_note_ledger(store) == 0 && known)
        return true;
    if (spawn_store_ledger_known(store)) {
        spawn_loop_again(); /* some may start now, */
        to->decided(to_what);
        return true;
    }
    again.fire = look_again;
    spawn_timer_set(&again, spawn_mono_ms() + NOTE_AGAIN);
    return false;
}

void spawn_durable_stored(spawn_store *store)
{
    const spawn_ledger_record r = {.type = SPAWN_LEDGER_READ};

    if (!stored_since && spawn_durable_read())
        stored_since = spawn_mono_ms();
    if (!note_read(store))
        return;
    if (read_due)
        spawn_scribe_send(&r, NULL, NULL);
    read_due = false;
}

/* ---- what the scribe says ---- */

/* Only the ledger knows of the other one. */
static void refuse_known(spawn_job *job, unsigned how)
{
    spawn_failure why;

    if (how == SPAWN_LEDGER_KNOWS_OTHER)
        spawn_failure_set(&why, SPAWN_E_CONFLICT, SPAWN_STEP_CHECK, 0,
                          "another job with this id is known");
    else
        spawn_failure_set(&why, SPAWN_E_TOO_OLD, SPAWN_STEP_CHECK, 0,
                          "a durable job with this id has started before, and "
                          "the store does not know it any more");
    to->refused(job, &why);
}

/* Not of one with this id that was refused before, and is submitted again, nor
 * of an attempt before this one. */
static bool is_of(const spawn_ledger_record *r, const spawn_job *job)
{
    return r->sending == job->sending;
}

/* It waits for the ledger still, which was asked for it (run/durable_ask.h). */
static void asked_answered(spawn_job *job, const spawn_ledger_record *r,
                           bool taken)
{
    bool waits = job && job->ask_again && job->ledger == SPAWN_IN_LEDGER_ASKED
                 && job->state == SPAWN_STATE_QUEUED && is_of(r, job);

    if (waits && taken)
        to->accepted(job);
    spawn_durable_ask_answered(r, waits ? job : NULL, taken);
}

static void refuse_unreadable(spawn_job *job)
{
    spawn_failure why;

    spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_STORE, EIO,
                      "what it is to run cannot be read in the store");
    to->refused(job, &why);
}

static void put_answered(spawn_job *job, const spawn_ledger_record *r,
                         const char *why)
{
    spawn_failure failure;

    if (job->ledger != SPAWN_IN_LEDGER_ASKED || job->state != SPAWN_STATE_QUEUED
        || !is_of(r, job))
        return;
    if (!why) {
        to->accepted(job);
        return;
    }
    if (r->known) {
        refuse_known(job, r->known);
        return;
    }
    spawn_failure_set(&failure, SPAWN_E_STORE, SPAWN_STEP_STORE,
                      r->full ? ENOSPC : EIO,
                      "a durable job cannot be stored: %.200s", why);
    if (r->again) /* it may be there */
        to->refused_later(job, &failure);
    else
        to->refused(job, &failure);
}

/* why: NULL: that is on the disk. unknown: the ledger does not have the job: it
 * was lost since, and takes it first. */
static void order_answered(spawn_job *job, const char *why, bool unknown)
{
    bool starts = job->state == SPAWN_STATE_STARTING && job->launch;

    if (job->ledger != SPAWN_IN_LEDGER_ORDERING)
        return;
    job->ledger = why ? SPAWN_IN_LEDGER_WAITS : SPAWN_IN_LEDGER_ORDERED;
    if (starts && !why && spawn_phase_launching()
        && !spawn_queue_paused(job->queue)) {
        spawn_job_changed(job);
        return;
    }
    if (starts && unknown)
        job->ledger = SPAWN_IN_LEDGER_ASKED;
    if (starts) /* httpd was stopped since, or its queue paused */
        to->held_back(job);
    if (starts && unknown)
        spawn_durable_ask(job);
    spawn_durable_follow(job);
}

static void answered(const spawn_ledger_record *r, const char *why)
{
    spawn_job *job = spawn_job_find(&r->id);

    if (r->asked)
        asked_answered(job, r, !why);
    else if (job
             && (r->type == SPAWN_LEDGER_PUT || r->type == SPAWN_LEDGER_REVIVE))
        put_answered(job, r, why);
    else if (job && r->type == SPAWN_LEDGER_ORDER)
        order_answered(job, why, r->known == SPAWN_LEDGER_KNOWS_NONE);
    else if (r->type == SPAWN_LEDGER_DROP || r->type == SPAWN_LEDGER_END)
        to->forgotten(to_what, &r->id);
    else if (r->type == SPAWN_LEDGER_READ)
        old_boot = false;
}

static void copied(unsigned number, unsigned jobs, const char *why)
{
    if (why)
        spawn_log_few(
            "durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
            MSNO(0699) "the disk did not take what was to be stored of "
                       "durable jobs (%s); all of them were copied to "
                       "%s/durable-%u.db, which is used from now on",
            why, spawn_conf.store_path, number);
    else
        spawn_log_few(
            "durable jobs", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
            MSNO(0698) "the database of durable jobs was damaged: %u of "
                       "its jobs could be read and are kept; it is now "
                       "%s/damaged-durable-%u.db",
            jobs, spawn_conf.store_path, number);
}

static void trouble_told(const char *why)
{
    (void)snprintf(trouble, sizeof(trouble), "%s", why ? why : "");
    if (why)
        complain(why);
    else
        perhaps_over();
    if (why && stage == READING)
        tell_begun();
}

static const spawn_scribe_events events = {.row = row,
                                           .rows_end = rows_end,
                                           .answered = answered,
                                           .copied = copied,
                                           .trouble = trouble_told};

bool spawn_durable_begin(const char *directory)
{
    if (stage == BEGUN)
        return true;
    if (stage == READING)
        return false;
    if (!spawn_ledger_there(directory)) {
        stage = BEGUN;
        return true;
    }
    stage = READING;
    owed = true;
    opening = true;
    spawn_scribe_open(directory, &events);
    opening = false;
    if (stage == READING) {
        patience.fire = too_late;
        spawn_timer_set(&patience, spawn_mono_ms() + READ_WITHIN);
    }
    return stage == BEGUN;
}

bool spawn_durable_lost(const spawn_store *store)
{
    return !spawn_scribe_wanted() && spawn_store_ledger_was(store);
}

static void make_ledger(void)
{
    spawn_ledger_mark(spawn_conf.store_path);
    spawn_scribe_open(spawn_conf.store_path, &events);
}

/* Another ledger takes those that were in the one that is lost. */
void spawn_durable_recovered(bool some_lost)
{
    if (some_lost && !spawn_scribe_wanted())
        make_ledger();
    if (rows_there)
        rows_recovered();
}

/* ---- new ones ---- */

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0
           && (path[length] == '/' || path[length] == '\0');
}

/* Is what lies in the store gone after a boot? */
static const char *in_memory(const char *directory)
{
    char real[PATH_MAX];
    struct statfs fs;

    if (!realpath(directory, real))
        return NULL;
    if (statfs(real, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
        return "is on a tmpfs";
    if (statfs(real, &fs) == 0 && fs.f_type == RAMFS_MAGIC)
        return "is on a ramfs";
    if (is_below(real, "/run") || is_below(real, "/var/run"))
        return "is below /run, which is emptied at each boot";
    return NULL;
}

int spawn_durable_check(spawn_failure *why)
{
    const char *memory =
        spawn_scribe_wanted() ? NULL : in_memory(spawn_conf.store_path);

    if (memory) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, ENOTSUP,
                          "durable: the store %.200s %s, and so does not "
                          "outlive a reboot; name a directory on a disk with "
                          "SpawnStore, such as /var/lib/mod_spawn",
                          spawn_conf.store_path, memory);
        return -1;
    }
    if (!spawn_scribe_wanted())
        make_ledger();
    if (trouble[0] || owed) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "a durable job cannot be stored: %.250s",
                          trouble[0] ? trouble
                                     : "what is stored of them is not read "
                                       "yet");
        return -1;
    }
    if (spawn_scribe_backlog() > BACKLOG_MAX) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "a durable job cannot be stored now: the disk does "
                          "not keep up, %u MB wait for it",
                          BACKLOG_MAX >> 20);
        return -1;
    }
    return 0;
}

void spawn_durable_put(spawn_job *job, const void *message, size_t length)
{
    const spawn_ledger_record r = {.type = SPAWN_LEDGER_PUT,
                                   .id = job->id,
                                   .length = (uint32_t)length,
                                   .uid = job->caller_uid,
                                   .pid = job->caller_pid,
                                   .submitted_at = job->submitted_at,
                                   .sending = spawn_durable_sending(job)};

    spawn_scribe_send(&r, message, NULL);
}

void spawn_durable_revive(spawn_job *job)
{
    if (spawn_durable_send(job, false) < 0)
        refuse_unreadable(job);
}

static void not_asked(spawn_job *job, int why)
{
    if (why != -ENOENT) {
        refuse_unreadable(job);
        return;
    }
    spawn_queue_not_durable(job);
    spawn_loop_again();
}

void spawn_durable_ask(spawn_job *job)
{
    spawn_durable_ask_for(job, not_asked);
}

/* For so long the store has had each end that it got later than when the job
 * ended. */
static bool store_has_all(void)
{
    int64_t before = spawn_mono_ms() - FORGET_AFTER;

    return stored_since && stored_since <= before
           && spawn_durable_alone_until() <= before;
}

void spawn_durable_trim(spawn_store *store, uint64_t size)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_TRIM, .size = size};

    if (!spawn_scribe_wanted() || !store_has_all() || takes_nothing())
        return;
    r.newest = spawn_wall_ms() - FORGET_AFTER;
    r.before = spawn_store_oldest_end(store);
    if (!r.before || r.before > r.newest)
        r.before = r.newest;
    spawn_scribe_send(&r, NULL, NULL);
}
