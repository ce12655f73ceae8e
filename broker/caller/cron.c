/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs: which run is due, and what becomes of those that were missed.
 * Runs in the broker. Must never have a run twice, nor two of one at once
 * unless the entry allows it, also when brokers are killed.
 *
 * row.done is the mark up to which all planned runs are dealt with. It is moved
 * on in the store only when the run's job is seen there. A broker that is
 * killed between the two makes the same id again, which is known. A run by hand
 * has an id of its caller's, so the store has that before it has the job.
 *
 * The time of day counts, and is looked at anew at least every LOOK_AGAIN ms: a
 * clock that was set forward is like a stop of httpd (catch_up decides), and
 * for one that was set back see set_back.
 */
#include "broker/caller/cron.h"

#include <stdlib.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/job/phase.h"
#include "broker/run/durable.h"
#include "broker/run/retry.h"
#include "broker/store/store.h"
#include "broker/caller/cron_row.h"
#include "broker/caller/submit.h"

#define LOOK_AGAIN  15000      /* ms */
#define ON_TIME     60         /* s; a run that is later was missed */
#define OTHER_CLOCK (3 * 3600) /* s; set back by more: as if it were new */

static spawn_timer timer;
static bool due;      /* the timer has fired, or something has changed */
static bool unread;   /* rows of the store */
static bool watching; /* runs: pending, refused, or going on; or the ledger */

static int64_t now_s(void)
{
    return spawn_wall_ms() / 1000;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void spawn_cron_ledger_read(void)
{
    spawn_cron_adopt_all();
    due = true;
}

/* ---- runs that were submitted ---- */

static void has_this_run(spawn_cron_row *row, const spawn_id *id,
                         int64_t planned)
{
    row->has_run = true;
    row->id = *id;
    row->planned = planned;
    row->ended = false;
    row->outcome = SPAWN_OUTCOME_NONE;
    row->exit_code = -1;
    row->signo = 0;
    row->started_at = row->ended_at = 0;
}

static void copy_run(spawn_cron_row *to, const spawn_cron_row *from)
{
    to->has_run = from->has_run;
    to->id = from->id;
    to->planned = from->planned;
    to->ended = from->ended;
    to->outcome = from->outcome;
    to->exit_code = from->exit_code;
    to->signo = from->signo;
    to->started_at = from->started_at;
    to->ended_at = from->ended_at;
}

/* The run that the row has never was. */
static void take_back(spawn_batch *batch, spawn_cron_entry *e)
{
    spawn_cron_row foretold = e->row;

    copy_run(&e->row, &e->before);
    if (spawn_cron_note(batch, e))
        e->foretold = false;
    else
        e->row = foretold;
}

/* One that was found may have been planned before the clock was set back. */
static bool is_of_this_clock(const spawn_cron_entry *e)
{
    spawn_id id;

    spawn_cron_id(e, e->pending_planned, &id);
    return spawn_id_equal(&id, &e->pending_id);
}

/* One by hand that only the ledger had: when the store has it, no other broker
 * knows what it is, but from the row. */
static void foretell(spawn_batch *batch, spawn_cron_entry *e)
{
    if (e->pending_planned || e->overlap || e->foretold)
        return;
    e->before = e->row;
    has_this_run(&e->row, &e->pending_id, 0);
    e->foretold = spawn_cron_note(batch, e);
    if (!e->foretold)
        e->row = e->before;
}

/* Is it in the store by now? Then the row may say so. When that is not noted at
 * once, the run may have ended, and be forgotten, before it is. */
static void look_at_pending(spawn_batch *batch, spawn_cron_entry *e)
{
    spawn_job *job = spawn_job_find(&e->pending_id);
    spawn_cron_row before = e->row;
    spawn_known known;
    int rv = job ? job->in_store
                 : spawn_store_find(batch->store, &e->pending_id, &known);

    e->unstored = job && !rv;
    if (e->unstored) {
        foretell(batch, e);
        return;
    }
    e->pending_stored = e->pending_stored || rv == 1;
    if (rv == 0 && !e->pending_stored) { /* the store did not take it */
        e->pending = false;
        if (e->foretold)
            take_back(batch, e);
        e->retry_at = spawn_mono_ms() + SPAWN_CRON_TRY_AGAIN;
        e->refused = 0; /* it is not the queue that it waits for */
        return;
    }
    if (rv < 0 || e->retry_at > spawn_mono_ms())
        return;
    has_this_run(&e->row, &e->pending_id, e->pending_planned);
    if (e->pending_planned > e->row.done && is_of_this_clock(e))
        e->row.done = e->pending_planned;
    if (spawn_cron_note(batch, e))
        e->pending = e->foretold = false;
    else
        e->row = before;
}

static void look_at_run(spawn_batch *batch, spawn_cron_entry *e)
{
    spawn_cron_row before = e->row;

    if (e->durable && spawn_durable_unread())
        return; /* only the ledger may know of it */
    e->runs = e->row.has_run && spawn_job_find(&e->row.id);
    watching = watching || e->runs; /* also one that was revived */
    if (!e->row.has_run || e->row.ended || e->runs
        || e->retry_at > spawn_mono_ms())
        return;
    if (e->foretold) {
        if (!e->pending)
            take_back(batch, e);
        return;
    }
    if (spawn_store_cron_end(batch->store, &e->row) || !e->row.ended
        || !spawn_cron_note(batch, e))
        e->row = before;
}

void spawn_cron_look(spawn_batch *batch, spawn_cron_entry *e)
{
    if (!e->known)
        return;
    if (e->pending)
        look_at_pending(batch, e);
    look_at_run(batch, e);
}

bool spawn_cron_active(const spawn_cron_entry *e, spawn_id *ret_id)
{
    spawn_job *job;

    *ret_id = e->pending ? e->pending_id : e->row.id;
    if (e->pending)
        return true;
    if (!e->row.has_run)
        return false;
    job = spawn_job_find(&e->row.id); /* or it has ended, and was revived */
    if (!job)
        return false;
    spawn_retry_judge(job); /* it may have ended in this turn */
    return job->state != SPAWN_STATE_DONE || job->again;
}

/* ---- what is due ---- */

/* A clock that was set back: as in Debian's cron, what goes by the clock as it
 * is ('*' for minute or hour) runs by the new time, and what has its own time
 * does not run again, unless the change was so great that it is another clock.
 * Less than a minute is waited for. */
static bool set_back(spawn_batch *batch, spawn_cron_entry *e, int64_t now)
{
    int64_t by = e->row.done - now;
    spawn_cron_row before = e->row;

    if (by <= ON_TIME || (!e->when.wild && by < OTHER_CLOCK))
        return true;
    if (e->row.done > e->row.shown)
        e->row.shown = e->row.done;
    e->row.done = now;
    e->row.round++;
    if (spawn_cron_note(batch, e))
        return true;
    e->row = before;
    return false;
}

/* A clock that was wrong for a while, as one that a machine starts with, is
 * right again: what was planned until it went wrong was dealt with then, and is
 * not missed. A run that comes at its time does count: then the clock is
 * another one. */
static bool come_back(spawn_batch *batch, spawn_cron_entry *e, int64_t now)
{
    int64_t shown = sooner(e->row.shown, now - ON_TIME - 1);
    spawn_cron_row before = e->row;

    if (e->row.done >= shown)
        return true;
    e->row.done = shown;
    if (spawn_cron_note(batch, e))
        return true;
    e->row = before;
    return false;
}

static void left_out(spawn_batch *batch, spawn_cron_entry *e, int64_t first,
                     int64_t last, const spawn_id *active)
{
    char from[SPAWN_CRON_TIME_TEXT], to[SPAWN_CRON_TIME_TEXT],
        id[SPAWN_ID_TEXT];
    spawn_cron_row before = e->row;

    e->row.done = last;
    if (!spawn_cron_note(batch, e)) {
        e->row = before;
        return;
    }
    (void)spawn_cron_time_text(e, first, from);
    (void)spawn_cron_time_text(e, last, to);
    if (active)
        spawn_log_few(
            spawn_log_about("recurring job", e->name), SPAWN_LOG_FEW,
            SPAWN_LOG_WARN,
            MSNO(0883) "recurring job %s: the run of %s is left out: the one "
                       "before, job %s, has not ended",
            e->name, to, spawn_id_format(active, id));
    else
        spawn_log(SPAWN_LOG_NOTICE,
                  MSNO(0884) "recurring job %s: what was planned from %s to %s "
                             "was missed, and is left out (catch_up=none)",
                  e->name, from, to);
}

/* catch_up=all: so many are made up, the last ones. False: the store does not
 * take it. */
static bool leave_out_the_oldest(spawn_batch *batch, spawn_cron_entry *e,
                                 int64_t *first, int64_t now)
{
    int64_t oldest = spawn_cron_entry_oldest(e, *first, now);
    char from[SPAWN_CRON_TIME_TEXT], to[SPAWN_CRON_TIME_TEXT];
    spawn_cron_row before = e->row;

    if (oldest <= *first)
        return true;
    e->row.done = oldest - 1;
    if (!spawn_cron_note(batch, e)) {
        e->row = before;
        return false;
    }
    (void)spawn_cron_time_text(e, *first, from);
    (void)spawn_cron_time_text(e, oldest, to);
    spawn_log_few(spawn_log_about("recurring job", e->name), SPAWN_LOG_FEW,
                  SPAWN_LOG_WARN,
                  MSNO(0889) "recurring job %s: more than %d runs were missed: "
                             "those from %s on are left out, and those from %s "
                             "on are made up (catch_up=all)",
                  e->name, SPAWN_CRON_MADE_UP, from, to);
    *first = oldest;
    return true;
}

static void refused(spawn_cron_entry *e, const char *when,
                    const spawn_failure *why, bool again)
{
    static uint64_t refusals;

    if (!again || why->code != SPAWN_E_QUEUE_FULL)
        e->refused = 0;
    else if (!e->refused)
        e->refused = ++refusals;
    spawn_log_few(spawn_log_about("recurring job", e->name), SPAWN_LOG_FEW,
                  SPAWN_LOG_ERR,
                  MSNO(0885) "recurring job %s: the run of %s is refused: %s: "
                             "%s%s",
                  e->name, when, spawn_error_name(why->code), why->text,
                  again ? "; it is tried again" : "");
}

/* Its end goes to the store with the new one, and before it. When it came
 * later, brokers and spawners that are killed in between would leave it as one
 * that goes on, or is tried again. */
static void store_last_end(const spawn_cron_entry *e)
{
    spawn_job *last =
        !e->overlap && e->row.has_run ? spawn_job_find(&e->row.id) : NULL;

    if (last)
        spawn_job_store_now(last);
}

static int take(spawn_batch *batch, spawn_cron_entry *e, const spawn_id *id,
                int64_t planned, spawn_failure *why)
{
    spawn_writer w;
    int rv;

    if (spawn_cron_order(e, id, &w)) {
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_CHECK, 0,
                          "no memory for the job");
        rv = SPAWN_OWN_REFUSED;
    }
    else {
        rv = spawn_submit_own(batch, w.data, w.length, planned != 0, why);
    }
    spawn_writer_free(&w);
    if (rv != SPAWN_OWN_REFUSED && !e->pending) {
        e->pending = true;
        e->pending_id = *id;
        e->pending_planned = planned;
        e->pending_stored = false;
        due = watching = true;
        spawn_loop_again();
    }
    return rv;
}

/* A power cut may have cost the row that the clock was set back, and not the
 * ledger the runs since: they would run again, with other ids. */
static void find_round(const spawn_batch *batch, spawn_cron_entry *e,
                       int64_t planned)
{
    unsigned later = e->durable ? SPAWN_CRON_ROUNDS : 0;
    spawn_known known;
    spawn_id id;

    for (; later > 0; later--) {
        spawn_cron_later_id(e, planned, later, &id);
        if (spawn_job_find(&id)
            || spawn_store_find(batch->store, &id, &known) == 1)
            break;
    }
    e->row.round += later;
}

static void submit(spawn_batch *batch, spawn_cron_entry *e, int64_t planned)
{
    spawn_cron_row before;
    char text[SPAWN_CRON_TIME_TEXT];
    spawn_failure why;
    spawn_id id;
    int rv;

    store_last_end(e);
    find_round(batch, e, planned);
    before = e->row;
    spawn_cron_id(e, planned, &id);
    rv = take(batch, e, &id, planned, &why);
    if (rv == SPAWN_OWN_TAKEN || rv == SPAWN_OWN_KNOWN)
        return;
    refused(e, spawn_cron_time_text(e, planned, text), &why,
            rv == SPAWN_OWN_REFUSED && spawn_refusal_passes(&why));
    if (rv == SPAWN_OWN_RECORDED)
        return;
    if (spawn_refusal_passes(&why)) {
        e->retry_at = spawn_mono_ms() + SPAWN_CRON_TRY_AGAIN;
        return;
    }
    e->row.done = planned;
    if (!spawn_cron_note(batch, e))
        e->row = before;
}

/* When that does not pass, the ledger refuses it each time: it knows the id,
 * and the store does not. */
void spawn_cron_refused(spawn_batch *batch, const spawn_id *id,
                        const spawn_failure *why)
{
    spawn_cron_entry *e = spawn_cron_entries(NULL);
    char text[SPAWN_CRON_TIME_TEXT];
    spawn_cron_row before;

    while (e && !(e->pending && spawn_id_equal(&e->pending_id, id)))
        e = e->next;
    if (!e || e->pending_planned == 0 || spawn_refusal_passes(why))
        return;
    refused(e, spawn_cron_time_text(e, e->pending_planned, text), why, false);
    e->pending = false;
    before = e->row;
    if (e->pending_planned > e->row.done)
        e->row.done = e->pending_planned;
    if (!spawn_cron_note(batch, e))
        e->row = before;
}

/* The ledger has a new run before the store has the end of the last one, which
 * would wait beside it when we are killed between the two. */
bool spawn_cron_ends(const spawn_cron_entry *e)
{
    const spawn_job *last = e->durable && !e->overlap && e->row.has_run
                                ? spawn_job_find(&e->row.id)
                                : NULL;

    return last && last->state == SPAWN_STATE_DONE && !last->again;
}

/* One step; true when there may be another one. The clock is read once: set
 * back between two readings, it would be seen as one that has come to the next
 * run. */
static bool step(spawn_batch *batch, spawn_cron_entry *e)
{
    int64_t now = now_s(), first, last;
    spawn_id active;
    bool goes_on;

    if (e->pending || e->retry_at > spawn_mono_ms() || !set_back(batch, e, now))
        return false;
    first = spawn_cron_entry_next(e);
    if (first >= 0 && first <= now && e->row.shown > e->row.done) {
        if (!come_back(batch, e, now))
            return false;
        first = spawn_cron_entry_next(e);
    }
    if (first < 0 || first > now)
        return false;
    if (e->catch_up == SPAWN_CATCH_UP_ALL
        && now - first >= SPAWN_CRON_MADE_UP * 60
        && !leave_out_the_oldest(batch, e, &first, now))
        return false;
    goes_on = !e->overlap && spawn_cron_active(e, &active);
    if (spawn_cron_ends(e))
        return false;
    if (goes_on && e->catch_up != SPAWN_CATCH_UP_NONE)
        return false; /* it waits for the end of that one */
    last = e->catch_up == SPAWN_CATCH_UP_ALL
               ? first
               : spawn_cron_entry_last(e, first, now);
    if (goes_on)
        left_out(batch, e, first, last, &active);
    else if (e->catch_up == SPAWN_CATCH_UP_NONE && now - last > ON_TIME)
        left_out(batch, e, first, last, NULL);
    else
        submit(batch, e, last);
    if (e->retry_at <= spawn_mono_ms())
        e->refused = 0;
    return !e->pending && e->retry_at <= spawn_mono_ms();
}

/* ---- the turn ---- */

static void fire(spawn_timer *t)
{
    (void)t;
    due = true;
}

static void look_at(spawn_batch *batch, spawn_cron_entry *e, bool may_start)
{
    spawn_id id;

    if (!e->known)
        return;
    spawn_cron_look(batch, e);
    if (e->durable && spawn_durable_unread()) { /* it may have its run */
        watching = true;
        return;
    }
    while (may_start && !e->row.paused && step(batch, e))
        ;
    watching = watching || e->pending || e->refused
               || (e->row.has_run && !e->row.ended)
               || spawn_cron_active(e, &id);
}

static void set_timer(bool may_start)
{
    int64_t mono = spawn_mono_ms(), wall = spawn_wall_ms();
    int64_t in = unread ? SPAWN_CRON_TRY_AGAIN : LOOK_AGAIN;
    spawn_cron_entry *e;

    for (e = spawn_cron_entries(NULL); e; e = e->next) {
        int64_t next;

        if (e->retry_at > mono)
            in = sooner(in, e->retry_at - mono);
        if (!may_start || !e->known || e->row.paused || e->pending)
            continue;
        next = spawn_cron_entry_next(e);
        if (next * 1000 > wall)
            in = sooner(in, next * 1000 - wall);
    }
    timer.fire = fire;
    spawn_timer_set(&timer, mono + (in > 0 ? in : 1));
}

void spawn_cron_rules_read(spawn_batch *batch)
{
    if (!spawn_cron_rules_new())
        return;
    due = true;
    unread = !spawn_cron_rows_read(batch);
}

void spawn_cron_turn(spawn_batch *batch)
{
    bool may_start = spawn_phase.going && !spawn_phase.lingering
                     && !spawn_phase.quitting && !spawn_phase.spawner_gone;
    static bool could_start;
    spawn_cron_entry **line;
    size_t count, i;

    spawn_cron_rules_read(batch);
    if (may_start != could_start)
        due = true;
    could_start = may_start;
    if (!due && !watching)
        return;
    due = watching = false;
    if (unread)
        unread = !spawn_cron_rows_read(batch);
    if (!spawn_cron_entries(NULL) && !unread)
        return;
    line = spawn_cron_line(&count);
    for (i = 0; i < count; i++) {
        line[i]->had_room = line[i]->refused && spawn_cron_has_room(line[i]);
        if (line[i]->had_room)
            line[i]->retry_at = 0;
        look_at(batch, line[i], may_start);
    }
    free(line);
    set_timer(may_start);
}

/* A place that came to be in this turn is for those that were refused. */
static void look_for_room(void)
{
    spawn_cron_entry *e;

    for (e = spawn_cron_entries(NULL); e; e = e->next) {
        if (e->refused && !e->had_room && spawn_cron_has_room(e))
            spawn_loop_again();
    }
}

/* ---- by hand ---- */

/* The row has it before the store has its job: nothing in the id says that it
 * is a run, and a broker that follows a killed one must not start another
 * beside it. A job that is not taken then is one that was forgotten. */
int spawn_cron_run(spawn_batch *batch, spawn_cron_entry *e, const spawn_id *id,
                   spawn_failure *why)
{
    spawn_cron_row before = e->row;
    bool alone = !e->overlap && !e->pending;
    int rv;

    store_last_end(e);
    if (alone) {
        if (!e->foretold)
            e->before = e->row;
        has_this_run(&e->row, id, 0);
        if (!spawn_cron_note(batch, e)) {
            e->row = before;
            spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                              "the store cannot be written; see the error log");
            return SPAWN_OWN_REFUSED;
        }
    }
    rv = take(batch, e, id, 0, why);
    if (alone)
        e->foretold = true;
    if (alone && rv == SPAWN_OWN_REFUSED)
        take_back(batch, e);
    return rv;
}

int spawn_cron_pause(spawn_batch *batch, spawn_cron_entry *e, bool on, long uid,
                     long pid)
{
    char who[60 + SPAWN_NAME_MAX];
    spawn_cron_row before = e->row;
    int64_t now = now_s();

    if ((e->row.paused != 0) == on)
        return 0;
    e->row.paused = on ? spawn_wall_ms() : 0;
    if (!on && now > e->row.done)
        e->row.done = now; /* runs that were planned meanwhile are left out */
    if (!spawn_cron_note(batch, e)) {
        e->row = before;
        return -1;
    }
    due = true;
    (void)snprintf(who, sizeof(who), "uid %ld, recurring job %s", uid, e->name);
    spawn_log_few(who, SPAWN_LOG_BY_HAND, SPAWN_LOG_NOTICE,
                  MSNO(0886) "recurring job %s is %s by uid %ld, pid %ld",
                  e->name, on ? "paused" : "resumed", uid, pid);
    return 0;
}

/* It was stored in this turn (a durable one some turns after it was submitted),
 * or refused; it may be gone again. */
static bool is_decided(spawn_cron_entry *e)
{
    const spawn_job *job = e->unstored ? spawn_job_find(&e->pending_id) : NULL;

    if (!e->unstored || (job && !job->in_store))
        return false;
    e->unstored = false;
    return true;
}

/* Once for each run: it may be that the store does not know how it ended. */
void spawn_cron_turn_over(void)
{
    spawn_cron_entry *e;

    if (!watching)
        return;
    look_for_room();
    for (e = spawn_cron_entries(NULL); e; e = e->next) {
        if (is_decided(e))
            spawn_loop_again();
        if (!e->runs || spawn_job_find(&e->row.id))
            continue;
        e->runs = false;
        spawn_loop_again();
    }
}
