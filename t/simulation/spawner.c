/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner as its broker sees it (spawner/orders.c, spawner/tell.c), with
 * processes that are only told of. What is checked here: a job is launched when
 * it may be, and once, or once for each attempt, one after another; time-outs
 * come when they are due, counted from the launch, and no end is forgotten that
 * was not told.
 */
#include <errno.h>
#include <string.h>

#include "t/simulation/bound.h"
#include "t/simulation/controls.h"
#include "t/simulation/crons.h"
#include "t/simulation/durable.h"
#include "t/simulation/ordered.h"
#include "t/simulation/recorded.h"
#include "t/simulation/workers.h"

#define PID_OF(j) (4200000u + job_number(j)) /* over what the kernel gives */
#define LATE      1000                       /* ms */
#define A_MOMENT  50                         /* ms */

bool said_bye;
int64_t good_since, broker_knows;
bool broker_refused, began_blind;

static int status_of(const job *j)
{
    if (j->retry)
        return j->attempt < j->good_at ? 9 << 8 : 0;
    return job_number(j) % 3 ? (int)(job_number(j) % 100) << 8 : 0;
}

/* ---- what it tells ---- */

static void begin(spawn_writer *w, unsigned type, const job *j)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, (uint16_t)type, 0);
    spawn_put_id(w, SPAWN_A_ID, &j->id);
    if (j->attempt > 1)
        spawn_put_u64(w, SPAWN_A_ATTEMPT, j->attempt);
}

static void put_started(spawn_writer *w, const job *j)
{
    spawn_put_u64(w, SPAWN_A_PID, PID_OF(j));
    spawn_put_u64(w, SPAWN_A_MONO_STARTED, (uint64_t)j->started_ms);
    spawn_put_u64(w, SPAWN_A_BOOT_STARTED,
                  (uint64_t)(j->started_ms - board->boot_began));
}

static void tell_started(job *j, bool with_state)
{
    spawn_writer w;

    if (!alive)
        return;
    begin(&w, SPAWN_M_STARTED, j);
    put_started(&w, j);
    if (with_state)
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    life_send(&w, NULL, 0);
    j->told_pid = true;
    j->told_in = turns;
}

/* with_start: its start was not told before, and is by this. */
static void tell_exited(job *j, bool with_start)
{
    spawn_writer w;

    if (!alive)
        return;
    begin(&w, SPAWN_M_EXITED, j);
    if (with_start)
        put_started(&w, j);
    else
        spawn_put_u64(&w, SPAWN_A_PID, PID_OF(j));
    if (j->step) {
        spawn_put_u64(&w, SPAWN_A_STEP, j->step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, ENOENT);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)j->status);
    }
    spawn_put_u64(&w, SPAWN_A_ELAPSED,
                  (uint64_t)(j->ended_ms - j->started_ms) * 1000);
    life_send(&w, NULL, 0);
    j->told_exit = true;
}

/* A call is not: its worker is (workers.c). */
static bool in_table(const job *j)
{
    return !j->is_call
           && (j->place == STARTING || j->place == RUNNING
               || j->place == ENDED);
}

void spawner_table(void)
{
    spawn_writer w;
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];

        j->told_exit = false;
        j->term_ms = -1;
        j->kill_ordered = false;
        if (!in_table(j))
            continue;
        begin(&w, SPAWN_M_RUNNING, j);
        spawn_put_u64(&w, SPAWN_A_STATE,
                      j->place == STARTING ? SPAWN_STATE_STARTING
                                           : SPAWN_STATE_RUNNING);
        put_started(&w, j);
        life_send(&w, NULL, 0);
        j->told_pid = j->place != STARTING;
        j->told_in = turns;
        if (j->place == ENDED)
            tell_exited(j, false);
    }
}

/* ---- what happens to processes ---- */

static void process_ends(job *j, int status, unsigned step, bool at_once)
{
    j->place = ENDED;
    j->status = status;
    j->step = step;
    j->ended_ms = board->mono_ms;
    say("job %u ends: wait status 0x%04x%s", job_number(j), (unsigned)status,
        step      ? ", it could not be started"
        : at_once ? ", with its start"
                  : "");
    tell_exited(j, at_once);
}

static void goes_on(job *j, bool may_fail)
{
    if (j->place == STARTING && j->pending) {
        process_ends(j, j->pending, 0, false);
    }
    else if (j->place == STARTING && may_fail && chance(10)) {
        process_ends(j, 0, SPAWN_STEP_EXEC, false);
    }
    else if (j->place == STARTING && !j->told_pid && chance(25)) {
        process_ends(j, status_of(j), 0, true);
    }
    else if (j->place == STARTING) {
        j->place = RUNNING;
        say("job %u runs", job_number(j));
        tell_started(j, false);
    }
    else if (j->pending) {
        process_ends(j, j->pending, 0, false);
    }
    else {
        process_ends(j, status_of(j), 0, false);
    }
}

bool spawner_something(void)
{
    unsigned i, first = jobs_used ? random_below(jobs_used) : 0;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[(first + i) % jobs_used];

        if (j->is_call || (j->place != STARTING && j->place != RUNNING))
            continue;
        goes_on(j, true);
        return true;
    }
    return false;
}

bool spawner_all(void)
{
    bool any = false;
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (in_table(&jobs[i]) && jobs[i].place != ENDED) {
            goes_on(&jobs[i], false);
            any = true;
        }
    }
    return any;
}

bool spawner_empty(void)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (in_table(&jobs[i]))
            return false;
    }
    return true;
}

void spawner_dies(bool orders_may_be_lost)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        job *j = &jobs[i];

        if ((j->place == ABSENT
             || (j->retry && (j->place == FORGOTTEN || j->place == UNPARENTED)))
            && orders_may_be_lost) {
            j->order_may_be_lost = true;
            j->lost_in = lives;
        }
        if (!in_table(j))
            continue;
        j->had_ended = j->place == ENDED;
        j->unparented_ms = board->mono_ms;
        j->place = UNPARENTED;
    }
}

/* ---- orders ---- */

/* Jobs of the queue that the broker has to count as running. */
unsigned spawner_busy(unsigned queue)
{
    unsigned i, count = 0;

    for (i = 0; i < jobs_used; i++)
        count +=
            jobs[i].queue == queue
            && (jobs[i].is_call ? jobs[i].place == RUNNING
                                : in_table(&jobs[i]) && !jobs[i].told_exit);
    return count;
}

/* On a full disk jobs are stored one by one: a start that is due since before
 * the limit was lowered comes after that, as does that of a durable job, which
 * waits for the disk. */
static unsigned may_run(const job *j)
{
    const limits *l = &queue_limits[j->queue];

    return store_calm && !j->durable && !j->direct && (calm || !j->is_call)
               ? controls_most(j->queue, l->max_jobs)
               : l->most_jobs;
}

/* A job that is taken later than it is made, or again by another broker, counts
 * from its id's time. */
static bool clock_was_set(const job *j, int64_t since)
{
    return since != j->made_wall - j->made_ms;
}

static int64_t clock_when_known(const job *j)
{
    return j->known_ms ? j->known_wall - j->known_ms
                       : board->wall_ms - board->mono_ms;
}

/* A broker that follows the one which took it may have it from a slot. */
static bool taken_again_after_step(const job *j)
{
    return j->stepped_since
           || (j->known_ms && j->known_in != lives
               && clock_was_set(j, board->wall_ms - board->mono_ms));
}

static bool is_early(const job *j)
{
    return (j->delay_ms && !clock_was_set(j, clock_when_known(j))
            && !taken_again_after_step(j)
            && board->mono_ms < j->sent_ms + (int64_t)j->delay_ms)
           || (j->at_ms && board->wall_most < j->at_ms);
}

/* Its next attempt has a pause before it, which counts from the end of the one
 * before; one that is revived has none, and after a boot the time of day
 * decides. */
static bool is_hasty(const job *j)
{
    return j->pause_ms && j->launches > 0 && j->place == FORGOTTEN
           && !j->ever_revived && j->made_boot == board->boot
           && board->mono_ms < j->ended_ms + (int64_t)j->pause_ms;
}

/* It was taken when it was known, at the latest. */
static bool is_late(const job *j)
{
    return !j->is_call && j->expires_ms && j->known_ms
           && !clock_was_set(j, board->wall_ms - board->mono_ms)
           && board->mono_ms > j->known_ms + (int64_t)j->expires_ms;
}

/* Has the attempt that was launched last ended so that another one follows? Of
 * one that was lost nobody knows. */
static bool may_be_tried_again(const job *j)
{
    if (j->place == UNPARENTED)
        return true;
    if (j->place != FORGOTTEN)
        return false;
    if (j->ever_revived)
        return j->step || j->status != 0
               || (j->timeout_ms
                   && j->ended_ms - j->started_ms >= (int64_t)j->timeout_ms);
    if (j->step)
        return j->retry_starts;
    return j->status != 0
           || (j->retry_starts && j->timeout_ms
               && j->ended_ms - j->started_ms >= (int64_t)j->timeout_ms);
}

/* attempt: that the order tells. */
static void check_attempt(const job *j, unsigned attempt)
{
    if (attempt <= j->attempt)
        promise_broken("attempt %u of job %u is launched after attempt %u",
                       attempt, job_number(j), j->attempt);
    else if (attempt > j->most)
        promise_broken("attempt %u of job %u is launched, of %u that may be",
                       attempt, job_number(j), j->most);
    else if (attempt > j->attempt + 1 + j->refused_late
             && !j->order_may_be_lost)
        promise_broken("job %u is launched as attempt %u, and was attempt "
                       "%u before",
                       job_number(j), attempt, j->attempt);
    else if (j->kill_done)
        promise_broken("job %u was killed, and is launched again",
                       job_number(j));
    else if (j->launches > 0 && !may_be_tried_again(j))
        promise_broken("job %u is launched again, and has %s", job_number(j),
                       j->place == FORGOTTEN
                           ? "ended well, or as it may not"
                           : "not ended, or not been forgotten");
}

/* Facts of the attempt before it count no more. */
static void begins_again(job *j)
{
    j->had_ended = j->kill_ordered = j->term_ever = false;
    j->order_may_be_lost = false;
    j->refused_late = 0;
    j->term_ms = -1;
    j->pending = 0;
    j->step = 0;
    j->status = 0;
}

/* A job that a killed broker has left in the inbox may have been taken. */
static bool was_left(const job *j)
{
    return j->posted_in && j->posted_in != lives;
}

/* Why it may not be; the first reason counts. */
static void check_launch(const job *j, const char *as, unsigned attempt)
{
    check_attempt(j, attempt);
    if (broken)
        return;
    if (j->claims == 0)
        promise_broken("job %u was refused, and is launched", job_number(j));
    else if (j->cancelled)
        promise_broken("job %u was cancelled, and is launched", job_number(j));
    else if (j->done && !j->maybe_revived && !recorded_may_start_again(j))
        promise_broken("job %u was told to have ended, and is launched",
                       job_number(j));
    else if (j->durable && !ledger_has_order(j, attempt))
        promise_broken("job %u is launched, which is not on the disk",
                       job_number(j));
    else if (is_early(j))
        promise_broken("job %u is launched before its time", job_number(j));
    else if (is_hasty(j))
        promise_broken("job %u is tried again %lld ms after its attempt, and "
                       "was to wait %llu ms",
                       job_number(j), (long long)(board->mono_ms - j->ended_ms),
                       (unsigned long long)j->pause_ms);
    else if (is_late(j))
        promise_broken("job %u is launched, and was to expire %lld ms ago",
                       job_number(j),
                       (long long)(board->mono_ms - j->known_ms)
                           - (long long)j->expires_ms);
    else if (!going)
        promise_broken("job %u is launched before GO", job_number(j));
    else if (!j->is_call && controls_start_nothing(j->queue))
        promise_broken("job %u is launched, and its queue is paused",
                       job_number(j));
    else if (controls_take_nothing(j->queue, j->sent_turn) && !was_left(j))
        promise_broken("job %u is launched, and its queue takes nothing since "
                       "before it came",
                       job_number(j));
    else if (strcmp(as, job_program(j)) != 0)
        promise_broken("job %u is launched as %s", job_number(j), as);
    else if (spawner_busy(j->queue) >= may_run(j))
        promise_broken("job %u is launched, and %u of its queue run already, "
                       "of %u that may",
                       job_number(j), spawner_busy(j->queue), may_run(j));
}

void spawner_launches(job *j, const char *as, unsigned attempt)
{
    say("job %u is launched, attempt %u", job_number(j), attempt);
    if (!j->unsure)
        check_launch(j, as, attempt);
    if (broken)
        return;
    if (recorded_may_start_again(j))
        j->done = j->told_done = false;
    bound_launched(j);
    ordered_launched(j, attempt);
    crons_launched(j);
    begins_again(j);
    j->launches++;
    j->attempt = attempt;
    j->place = STARTING;
    j->started_ms = board->mono_ms;
    j->told_pid = false;
    j->told_exit = false;
}

static void launch(job *j, const spawn_message *m)
{
    bool program = spawn_has(m, SPAWN_A_ARGV)
                   && spawn_strv_count(&m->attr[SPAWN_A_ARGV]) == 1;

    spawner_launches(j,
                     program ? spawn_strv_next(&m->attr[SPAWN_A_ARGV], NULL)
                             : "something else",
                     (unsigned)spawn_u64_or(m, SPAWN_A_ATTEMPT, 1));
}

void spawner_signalled(job *j, int signo)
{
    int64_t due = j->started_ms + (int64_t)j->timeout_ms;

    say("job %u gets signal %d", job_number(j), signo);
    if (j->place != STARTING && j->place != RUNNING)
        return;
    if (!j->kill_asked && (!j->timeout_ms || board->mono_ms < due))
        promise_broken(
            "job %u gets signal %d, %lld ms before its time-out", job_number(j),
            signo, j->timeout_ms ? (long long)(due - board->mono_ms) : -1LL);
    bound_signalled(j, signo);
    if (signo == SIGKILL) {
        if (!j->kill_asked
            && (j->term_ms < 0
                || board->mono_ms < j->term_ms + (int64_t)j->grace_ms))
            promise_broken("job %u is killed before its grace is over",
                           job_number(j));
        j->kill_ordered = true;
    }
    else if (j->term_ms < 0 && j->timeout_ms && board->mono_ms >= due) {
        j->term_ms = board->mono_ms;
    }
    if (signo == SIGTERM && j->timeout_ms && board->mono_ms >= due)
        j->term_ever = true;
    if (signo == SIGKILL || (!j->stubborn && j->pending != SIGKILL))
        j->pending = signo;
}

static void forget(const spawn_id *id)
{
    job *j = job_find(id);

    if (workers_forget(id) || !j || !in_table(j))
        return;
    say("job %u is forgotten", job_number(j));
    if (j->place != ENDED)
        promise_broken("job %u runs, and is to be forgotten", job_number(j));
    else if (!j->told_exit)
        promise_broken("the end of job %u was not told to this broker, and is "
                       "to be forgotten",
                       job_number(j));
    j->place = FORGOTTEN;
    if (!j->left_in && !j->retry) /* else it may come again */
        j->left_in = turns;
}

static void forget_all(const spawn_message *m)
{
    const spawn_attr *ids = &m->attr[SPAWN_A_IDS];
    spawn_id id;
    size_t at;

    if (spawn_has(m, SPAWN_A_ID)) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
        forget(&id);
    }
    for (at = 0; spawn_has(m, SPAWN_A_IDS) && at + SPAWN_ID_SIZE <= ids->length;
         at += SPAWN_ID_SIZE) {
        memcpy(id.bytes, ids->data + at, SPAWN_ID_SIZE);
        forget(&id);
    }
}

static void broker_says_ready(const spawn_message *m)
{
    unsigned code = (unsigned)spawn_u64_or(m, SPAWN_A_CODE, SPAWN_E_OK);

    say("the broker is ready: %s %s", spawn_error_name(code),
        spawn_str_or(m, SPAWN_A_TEXT, ""));
    if (!broker_ready && (board->store != STORE_GOOD || board->fail_in))
        began_blind = true; /* not knowing what happened since its fork */
    broker_ready = code == SPAWN_E_OK;
    broker_refused = !broker_ready;
}

void spawner_obey(const spawn_message *m, spawn_packet *p)
{
    job *j = NULL;
    spawn_id id;

    if (workers_obey(m, p))
        return;
    if (spawn_has(m, SPAWN_A_ID)) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
        j = job_find(&id);
        if (!j)
            promise_broken("the broker speaks of a job that nobody has made");
    }
    switch (m->header.type) {
    case SPAWN_M_LAUNCH:
        if (j)
            launch(j, m);
        break;
    case SPAWN_M_SIGNAL:
        if (j)
            spawner_signalled(j, (int)spawn_u64_or(m, SPAWN_A_SIGNO, 0));
        break;
    case SPAWN_M_FORGET:
        forget_all(m);
        break;
    case SPAWN_M_TELL_PID:
        if (j && j->place == STARTING)
            tell_started(j, true);
        break;
    case SPAWN_M_BROKER_READY:
        broker_says_ready(m);
        break;
    case SPAWN_M_BYE:
        said_bye = true;
        break;
    default:
        break;
    }
}

/* ---- what has to have come by now ---- */

/* A broker that began with a full disk knows no jobs until there is room, and
 * looks for it each second. */
static bool knows_its_jobs(void)
{
    if (board->store != STORE_GOOD || board->fail_in)
        good_since = board->mono_ms;
    if (began_blind && board->mono_ms > good_since + 2 * LATE)
        began_blind = false;
    return broker_ready && !began_blind;
}

/* A call that was sent to its worker the broker finds when it looks at its
 * workers, and looks twice: what has passed between two of its turns counts for
 * a moment only. */
static bool is_found(job *j)
{
    int64_t passed = board->mono_ms - j->over_since;

    if (!j->direct)
        return true;
    if (!j->over_since || j->over_in != lives)
        j->over_ms = passed = 0;
    j->over_ms += passed < A_MOMENT ? passed : A_MOMENT;
    j->over_since = board->mono_ms;
    j->over_in = lives;
    return j->over_ms > LATE;
}

void spawner_check(void)
{
    int64_t now = board->mono_ms;
    bool knows = knows_its_jobs();
    unsigned i;

    broker_knows = !knows ? 0 : broker_knows ? broker_knows : now;
    for (i = 0; i < jobs_used; i++)
        jobs[i].stepped_since = taken_again_after_step(&jobs[i]);
    for (i = 0; i < jobs_used && knows; i++) {
        job *j = &jobs[i];

        if ((j->place != STARTING && j->place != RUNNING) || !j->told_pid
            || j->told_in >= turns || j->kill_asked)
            continue;
        if (j->timeout_ms && j->term_ms < 0
            && now > j->started_ms + (int64_t)j->timeout_ms + LATE
            && is_found(j))
            promise_broken(
                "job %u is %lld ms over its time-out", job_number(j),
                (long long)(now - j->started_ms - (int64_t)j->timeout_ms));
        if (j->term_ms >= 0 && !j->kill_ordered
            && now > j->term_ms + (int64_t)j->grace_ms + LATE)
            promise_broken("job %u is not killed after its grace",
                           job_number(j));
    }
}
