/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger's answers mean for the job that they are of: it is accepted,
 * starts, waits on, is asked for again or is refused; and nothing, when the job
 * has gone on meanwhile. On what broker_durable_played.h plays, and with the
 * clock.
 */
#include "t/unit/broker_durable_played.h"

#include <stdlib.h>
#include <sys/vfs.h>

#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/run/durable_ask.h"

#define MINUTE 60000

static int64_t clock_ms = 1000000;
static unsigned turns_wanted;

int64_t __wrap_spawn_mono_ms(void);
void __wrap_spawn_loop_again(void);

int64_t __wrap_spawn_mono_ms(void)
{
    return clock_ms;
}

void __wrap_spawn_loop_again(void)
{
    turns_wanted++;
}

/* ---- jobs ---- */

static spawn_batch batch;

static spawn_job *new_job(uint8_t n, uint8_t in_ledger)
{
    const spawn_id id = id_of(n);
    spawn_job *job = spawn_job_new(&batch, &id);

    job->attempt = 1;
    job->in_store = true;
    job->ledger = in_ledger;
    spawn_queue_join(job, "default");
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

/* That it starts is being written. */
static spawn_job *chosen_job(uint8_t n)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_WAITS);

    spawn_job_on(job, SPAWN_JOB_ORDERED);
    job->launch = true;
    spawn_durable_order(job);
    CHECK(sent == SPAWN_LEDGER_ORDER);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERING);
    return job;
}

static void has_ended(spawn_job *job)
{
    job->end = spawn_alloc(sizeof(*job->end));
    *job->end = (spawn_end){.outcome = SPAWN_OUTCOME_CANCELLED};
    spawn_job_on(job, SPAWN_JOB_ENDED);
}

/* The broker is one that may start jobs. */
static void it_goes(void)
{
    spawn_batch_init(&batch, NULL);
    scribe->rows_end(false);
    spawn_phase.recovered = spawn_phase.going = true;
    sent = 0;
}

static void timers(int64_t ms)
{
    clock_ms += ms;
    spawn_timers_run(spawn_mono_ms());
}

/* ---- its start ---- */

static void it_starts_when_that_is_written(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERED);
    CHECK(job->due == SPAWN_DUE_THIS_TURN && job->launch);
    CHECK(held_back == 0);
    spawn_durable_follow(job); /* it has that */
    CHECK(sent == SPAWN_LEDGER_ORDER);
    job->due = SPAWN_DUE_NOT;
    sent = 0;
    spawn_durable_order(job); /* it is written once */
    CHECK(sent == 0 && job->due == SPAWN_DUE_THIS_TURN);
}

static void it_is_ordered_once(void)
{
    it_goes();
    (void)chosen_job(1);
    sent = 0;
    spawn_durable_order(spawn_job_next(NULL));
    CHECK(sent == 0);
}

/* The ledger hears that it waits again. */
static void it_waits_when_nothing_starts_any_more(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    spawn_phase.lingering = true;
    scribe->answered(&last, NULL);
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_WAITS);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == 0 && last.attempt == 1);
}

static void it_waits_when_its_queue_is_paused(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    job->queue->control.mode = SPAWN_QUEUE_PAUSED;
    scribe->answered(&last, NULL);
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(sent == SPAWN_LEDGER_WAITS);
}

static void it_waits_when_that_is_not_written(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    sent = 0;
    scribe->answered(&last, "the disk fails");
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_WAITS);
    CHECK(job->due == SPAWN_DUE_NOT);
    CHECK(sent == 0 && !job->ask_again); /* the ledger has it as waiting */
}

/* It was lost meanwhile: it takes the job first. */
static void it_is_asked_for_when_the_ledger_does_not_have_it(void)
{
    spawn_job *job;

    it_goes();
    store_says = 0;
    job = chosen_job(1);
    last.known = SPAWN_LEDGER_KNOWS_NONE;
    scribe->answered(&last, "");
    CHECK(held_back == 1 && job->state == SPAWN_STATE_QUEUED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ASKED && job->ask_again);
    timers(0);
    CHECK(sent == SPAWN_LEDGER_REVIVE && last.asked);
}

static void it_has_ended_meanwhile(void)
{
    spawn_job *job;
    spawn_ledger_record order;

    it_goes();
    job = chosen_job(1);
    order = last;
    has_ended(job);
    scribe->answered(&order, NULL);
    CHECK(held_back == 0);
    CHECK(sent == SPAWN_LEDGER_END);
    CHECK(last.end.outcome == SPAWN_OUTCOME_CANCELLED);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ENDED);
}

static void it_has_ended_and_the_ledger_does_not_have_it(void)
{
    spawn_job *job;
    spawn_ledger_record order;

    it_goes();
    job = chosen_job(1);
    order = last;
    has_ended(job);
    order.known = SPAWN_LEDGER_KNOWS_NONE;
    scribe->answered(&order, "");
    timers(0);
    CHECK(held_back == 0 && !job->ask_again);
    CHECK(sent == SPAWN_LEDGER_END);
}

/* One that was not waited for any more, of an attempt before. */
static void a_late_answer_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->due = SPAWN_DUE_NOT;
    scribe->answered(&last, "the disk fails");
    CHECK(job->ledger == SPAWN_IN_LEDGER_ORDERED && held_back == 0);
    CHECK(job->due == SPAWN_DUE_NOT);
}

static void an_answer_without_a_job_is_nothing(void)
{
    spawn_ledger_record r = {.type = SPAWN_LEDGER_ORDER, .id = id_of(1)};

    it_goes();
    scribe->answered(&r, "");
    r.type = SPAWN_LEDGER_PUT;
    scribe->answered(&r, "");
    r.type = SPAWN_LEDGER_WAITS;
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 0);
    r.type = SPAWN_LEDGER_DROP;
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 1);
    r.type = SPAWN_LEDGER_END;
    r.id = id_of(2);
    scribe->answered(&r, NULL);
    CHECK(forgotten.bytes[SPAWN_ID_SIZE - 1] == 2);
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

/* ---- one that is asked for ---- */

static spawn_job *asked_job(uint8_t n)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_ASKED);

    store_says = 0;
    spawn_durable_ask(job);
    timers(0);
    CHECK(sent == SPAWN_LEDGER_REVIVE && last.asked);
    sent = 0;
    return job;
}

static void it_is_accepted_when_it_is_taken(void)
{
    it_goes();
    (void)asked_job(1);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1 && refused == 0);
    timers(MINUTE);
    CHECK(sent == 0);
}

static void it_is_asked_for_again_when_it_is_not(void)
{
    it_goes();
    (void)asked_job(1);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
    timers(999);
    CHECK(sent == 0);
    timers(1);
    CHECK(sent == SPAWN_LEDGER_REVIVE);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1);
}

static void one_that_ended_is_not_accepted(void)
{
    it_goes();
    has_ended(asked_job(1));
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
    timers(MINUTE);
    CHECK(sent == 0);
}

/* Another one has its id since. */
static void one_that_was_sent_later_is_not_accepted(void)
{
    spawn_job *job;

    it_goes();
    job = asked_job(1);
    (void)spawn_durable_sending(job);
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
}

/* Its caller waits for another answer. */
static void one_that_is_revived_is_not_accepted(void)
{
    spawn_job *job;

    it_goes();
    job = asked_job(1);
    job->ask_again = false;
    scribe->answered(&last, NULL);
    CHECK(accepted == 0);
}

static void one_that_has_gone_holds_up_no_other(void)
{
    spawn_job *job;
    unsigned i;

    it_goes();
    job = asked_job(1);
    spawn_job_on(job, SPAWN_JOB_UNDONE);
    spawn_queue_leave(job);
    spawn_job_free(job);
    scribe->answered(&last, "the disk fails");
    timers(1000);
    for (i = 2; i < 250; i++) {
        (void)asked_job((uint8_t)i);
        scribe->answered(&last, NULL);
    }
    CHECK(accepted == 248);
}

static void what_cannot_be_read_is_refused(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = -ENODATA;
    spawn_durable_ask(job);
    timers(0);
    timers(1000);
    CHECK(refused == 0);
    timers(1000);
    CHECK(refused == 1 && sent == 0);
    CHECK(refused_with.code == SPAWN_E_STORE);
    CHECK(refused_with.step == SPAWN_STEP_STORE && refused_with.error == EIO);
    CHECK(strstr(refused_with.text, "cannot be read in the store"));
    CHECK(job->ledger == SPAWN_IN_LEDGER_ASKED);
}

/* Nobody could tell before. */
static void what_is_not_durable_starts(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = 0;
    is_durable = false;
    spawn_durable_ask(job);
    turns_wanted = 0;
    timers(0);
    CHECK(refused == 0 && accepted == 0 && sent == 0);
    CHECK(job->ledger == SPAWN_IN_LEDGER_NOT && !job->ask_again);
    CHECK(turns_wanted > 0);
}

/* ---- one that is put or revived ---- */

static void a_revive_is_sent_or_refused(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    store_says = -ENODATA;
    spawn_durable_revive(job);
    CHECK(refused == 1 && sent == 0);
    store_says = 0;
    spawn_durable_revive(job);
    CHECK(refused == 1 && sent == SPAWN_LEDGER_REVIVE && !last.asked);
    scribe->answered(&last, NULL);
    CHECK(accepted == 1);
}

static void a_put_is_refused_as_it_failed(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    CHECK(sent == SPAWN_LEDGER_PUT && last.length == 1);
    last.known = SPAWN_LEDGER_KNOWS_OTHER;
    scribe->answered(&last, "");
    CHECK(refused == 1 && refused_with.code == SPAWN_E_CONFLICT);
    last.known = SPAWN_LEDGER_KNOWS_STARTED;
    scribe->answered(&last, "");
    CHECK(refused == 2 && refused_with.code == SPAWN_E_TOO_OLD);
    last.known = SPAWN_LEDGER_KNOWS_NOT;
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 3 && refused_with.code == SPAWN_E_STORE);
    CHECK(refused_with.error == EIO && strstr(refused_with.text, "disk fails"));
    last.full = true;
    scribe->answered(&last, "the disk is full");
    CHECK(refused == 4 && refused_with.error == ENOSPC);
    CHECK(refused_later == 0);
    last.again = true; /* it may be there */
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 4 && refused_later == 1);
    last.type = SPAWN_LEDGER_WAITS; /* of no submit */
    scribe->answered(&last, "the disk fails");
    CHECK(refused == 4 && refused_later == 1 && accepted == 0);
}

static void a_put_of_one_that_ended_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    has_ended(job);
    scribe->answered(&last, NULL);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

static void a_put_of_one_that_was_taken_is_nothing(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_ASKED);
    spawn_durable_put(job, "m", 1);
    spawn_queue_let_in(job);
    scribe->answered(&last, NULL);
    scribe->answered(&last, "the disk fails");
    CHECK(accepted == 0 && refused == 0 && refused_later == 0);
}

/* ---- trouble ---- */

static const char *why_none_is_taken(void)
{
    static spawn_failure why;

    return spawn_durable_check(&why) ? why.text : NULL;
}

static void none_is_taken_while_there_is_trouble(void)
{
    spawn_job *job;

    CHECK(strstr(why_none_is_taken(), "not read yet"));
    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    CHECK(!why_none_is_taken() && !spawn_durable_in_trouble(job));
    scribe->trouble("the disk fails");
    CHECK(strstr(why_none_is_taken(), "the disk fails"));
    CHECK(spawn_durable_in_trouble(job));
    scribe->trouble(NULL);
    CHECK(!why_none_is_taken() && !spawn_durable_in_trouble(job));
    CHECK(begun == 1);
}

/* ---- it begins ---- */

static void nothing_is_read_where_there_is_none(void)
{
    spawn_failure why;

    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    ledger_is_there = true; /* another one */
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(begun == 0 && !scribe && marked == 0);
    CHECK(!spawn_durable_unread() && !spawn_durable_read());
    CHECK(spawn_durable_check(&why) == 0);
    CHECK(marked == 1 && scribe && spawn_durable_unread());
}

static void the_scribe_cannot_be_started(void)
{
    scribe_says = "no more processes";
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(begun == 0); /* it is said by what it returns */
    CHECK(spawn_durable_unread());
    CHECK(strstr(why_none_is_taken(), "no more processes"));
    CHECK(spawn_timer_next() == -1);
}

static void it_begins_within_four_seconds(void)
{
    timers(2000);
    CHECK(!spawn_durable_begin("/nowhere")); /* it still reads */
    timers(1999);
    CHECK(begun == 0);
    timers(1);
    CHECK(begun == 1);
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(strstr(why_none_is_taken(), "not read yet"));
    CHECK(spawn_timer_next() == -1);
}

static void it_begins_with_its_rows(void)
{
    scribe->rows_end(false);
    CHECK(begun == 1 && spawn_durable_begin("/nowhere"));
    CHECK(spawn_timer_next() == -1); /* it waits no longer */
    timers(MINUTE);
    CHECK(begun == 1);
}

/* ---- what is not known yet ---- */

static void nothing_is_decided_before_it_is_known(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    CHECK(!spawn_durable_undecided(job));
    job->ledger = SPAWN_IN_LEDGER_UNREAD;
    CHECK(spawn_durable_undecided(job));
    job->ledger = SPAWN_IN_LEDGER_WAITS;
    is_noted = false; /* that it was read */
    CHECK(spawn_durable_undecided(job) && spawn_durable_in_trouble(job));
    job->ledger = SPAWN_IN_LEDGER_NOT;
    CHECK(!spawn_durable_undecided(job));
}

static void what_it_lacks_is_known_when_it_was_read(void)
{
    spawn_job *one, *two;

    spawn_batch_init(&batch, NULL);
    one = new_job(1, SPAWN_IN_LEDGER_ASKED);
    two = new_job(2, SPAWN_IN_LEDGER_ASKED);
    CHECK(!spawn_durable_lacks(one) && !spawn_durable_lacks(two));
    sends(1);
    scribe->rows_end(false);
    CHECK(!spawn_durable_lacks(one) && spawn_durable_lacks(two));
    two->ledger = SPAWN_IN_LEDGER_NOT;
    CHECK(!spawn_durable_lacks(two));
    two->ledger = SPAWN_IN_LEDGER_ASKED; /* it is in no lane */
}

static void another_one_is_made_for_those_of_one_that_is_lost(void)
{
    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    CHECK(spawn_durable_lost(NULL));
    ledger_was = false;
    CHECK(!spawn_durable_lost(NULL)); /* there was none */
    ledger_was = true;
    spawn_durable_recovered(false);
    CHECK(marked == 0 && !scribe);
    spawn_durable_recovered(true);
    CHECK(marked == 1 && scribe);
    CHECK(!spawn_durable_lost(NULL));
    spawn_durable_recovered(true);
    CHECK(marked == 1);
}

static void and_none_where_there_is_one(void)
{
    scribe->rows_end(false);
    spawn_durable_recovered(true);
    CHECK(marked == 0);
}

/* ---- where the store is ---- */

static long type_of_disk;

int __wrap_statfs(const char *path, struct statfs *ret);

int __wrap_statfs(const char *path, struct statfs *ret)
{
    (void)path;
    memset(ret, 0, sizeof(*ret));
    ret->f_type = (__typeof__(ret->f_type))type_of_disk;
    return 0;
}

static void it_is_refused_in(const char *made_as, const char *why)
{
    static char path[60];
    spawn_failure failure = {.code = SPAWN_E_OK};
    int rv;

    (void)strcpy(path, made_as);
    CHECK(mkdtemp(path));
    spawn_conf.store_path = path;
    rv = spawn_durable_check(&failure);
    CHECK(rmdir(path) == 0);
    if (!why) {
        CHECK(rv == 0 && scribe);
        return;
    }
    CHECK(rv == -1 && failure.code == SPAWN_E_STORE && !scribe);
    CHECK(failure.error == ENOTSUP && strstr(failure.text, why));
    CHECK(strstr(failure.text, path));
}

static void in_memory_it_is_not(void)
{
    static char run[] = "/run";
    const char *beside = geteuid() == 0 ? "/run-test-XXXXXX" : "/tmp/XXXXXX";
    spawn_failure why;

    ledger_is_there = false;
    CHECK(spawn_durable_begin("/nowhere"));
    type_of_disk = 0x01021994; /* TMPFS_MAGIC */
    it_is_refused_in("/tmp/spawn-test-XXXXXX", "is on a tmpfs");
    type_of_disk = 0x858458f6; /* RAMFS_MAGIC */
    it_is_refused_in("/tmp/spawn-test-XXXXXX", "is on a ramfs");
    type_of_disk = 0xef53; /* EXT4_SUPER_MAGIC */
    if (geteuid() == 0)
        it_is_refused_in("/run/spawn-test-XXXXXX", "is below /run");
    spawn_conf.store_path = run;
    CHECK(spawn_durable_check(&why) == -1 && strstr(why.text, "below /run"));
    it_is_refused_in(beside, NULL);
}

/* ---- what the ledger forgets ---- */

static void it_is_noted_that_it_was_read(void)
{
    it_goes();
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    CHECK(sent == 0);
}

static void it_is_trimmed_when_the_store_has_had_it_for_long(void)
{
    int64_t before;

    it_is_noted_that_it_was_read();
    spawn_durable_trim(NULL, 5);
    clock_ms += 2 * MINUTE - 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    clock_ms += 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM && last.size == 5);
    before = spawn_wall_ms() - 2 * MINUTE;
    CHECK(last.newest <= before && last.newest > before - MINUTE);
    CHECK(last.before == last.newest); /* the store has none */
    oldest_end = 4711;
    spawn_durable_trim(NULL, 5);
    CHECK(last.before == 4711 && last.newest > before - MINUTE);
    oldest_end = spawn_wall_ms();
    spawn_durable_trim(NULL, 5);
    CHECK(last.before == last.newest);
}

static void it_is_not_trimmed_while_it_takes_nothing(void)
{
    it_is_noted_that_it_was_read();
    clock_ms += 10 * MINUTE;
    scribe->trouble("the disk fails");
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    scribe->trouble(NULL);
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM);
}

static void it_is_not_trimmed_before_it_was_read(void)
{
    spawn_batch_init(&batch, NULL);
    timers(4000);
    CHECK(begun == 1);
    spawn_durable_recovered(false);
    spawn_durable_stored(NULL);
    clock_ms += 10 * MINUTE;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
}

/* The store has it only since then. */
static void nor_soon_after_the_store_took_an_end_at_last(void)
{
    spawn_job *job;

    it_is_noted_that_it_was_read();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->started_at = 1;
    spawn_job_on(job, SPAWN_JOB_BEGAN);
    has_ended(job);
    job->due = SPAWN_DUE_SOON;
    spawn_durable_follow(job); /* the store does not take it */
    CHECK(sent == SPAWN_LEDGER_END && last.alone);
    CHECK(job->ledger == SPAWN_IN_LEDGER_ALONE);
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == 0); /* once */
    clock_ms += 10 * MINUTE;
    job->due = SPAWN_DUE_NOT;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && !last.alone);
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == 0);
    spawn_durable_trim(NULL, 5);
    clock_ms += 2 * MINUTE - 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == 0);
    clock_ms += 1;
    spawn_durable_trim(NULL, 5);
    CHECK(sent == SPAWN_LEDGER_TRIM);
}

/* ---- what the ledger is told ---- */

static void it_is_told_when_a_job_waits_until_later(void)
{
    spawn_job *job;

    it_goes();
    job = chosen_job(1);
    scribe->answered(&last, NULL);
    job->attempt = 2;
    spawn_moment_at(&spawn_rules_get(job)->due, 4102444800000);
    spawn_job_on(job, SPAWN_JOB_CAME_BACK);
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == 4102444800000);
    CHECK(last.attempt == 2 && job->ledger == SPAWN_IN_LEDGER_WAITS);
    sent = 0;
    spawn_durable_follow(job); /* it knows that */
    CHECK(sent == 0);
    spawn_durable_hastened(job);
    CHECK(sent == SPAWN_LEDGER_WAITS && last.due_at == SPAWN_LEDGER_NOW);
    job->ledger = SPAWN_IN_LEDGER_ASKED; /* it takes it with that */
    sent = 0;
    spawn_durable_hastened(job);
    CHECK(sent == 0);
}

static void it_is_told_nothing_of_others(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_NOT);
    spawn_job_on(job, SPAWN_JOB_ORDERED);
    spawn_durable_follow(job);
    has_ended(job);
    spawn_durable_follow(job);
    spawn_durable_hastened(job);
    CHECK(sent == 0);
}

/* Within this boot the store is right of it, which has it as waiting. */
static void it_is_told_no_end_that_the_store_does_not_have(void)
{
    spawn_job *job;

    it_goes();
    job = new_job(1, SPAWN_IN_LEDGER_WAITS);
    has_ended(job);
    job->due = SPAWN_DUE_SOON;
    spawn_durable_follow(job);
    CHECK(sent == 0 && job->ledger == SPAWN_IN_LEDGER_WAITS);
    job->due = SPAWN_DUE_NOT;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && !last.alone && last.attempt == 1);
}

static void but_that_of(uint8_t n, uint16_t attempt, int64_t started_at,
                        bool in_table)
{
    spawn_job *job = new_job(n, SPAWN_IN_LEDGER_ORDERED);

    spawn_job_on(job, SPAWN_JOB_ORDERED);
    has_ended(job);
    job->attempt = attempt;
    job->started_at = started_at;
    job->in_table = in_table;
    job->due = SPAWN_DUE_SOON;
    sent = 0;
    spawn_durable_follow(job);
    CHECK(sent == SPAWN_LEDGER_END && last.alone && last.attempt == attempt);
}

static void but_that_of_one_that_began(void)
{
    it_goes();
    but_that_of(1, 2, 0, false); /* an attempt before it did */
    but_that_of(2, 1, 5, false);
    but_that_of(3, 1, 0, true); /* the spawner tells of it again */
}

/* ---- */

static void its_start_is_written_before(void **state)
{
    (void)state;
    in_a_process(it_starts_when_that_is_written);
    in_a_process(it_is_ordered_once);
    in_a_process(it_waits_when_nothing_starts_any_more);
    in_a_process(it_waits_when_its_queue_is_paused);
    in_a_process(it_waits_when_that_is_not_written);
    in_a_process(it_is_asked_for_when_the_ledger_does_not_have_it);
}

static void an_answer_counts_for_what_waits_for_it(void **state)
{
    (void)state;
    in_a_process(it_has_ended_meanwhile);
    in_a_process(it_has_ended_and_the_ledger_does_not_have_it);
    in_a_process(a_late_answer_is_nothing);
    in_a_process(an_answer_without_a_job_is_nothing);
}

static void one_that_the_ledger_lacks_is_asked_for(void **state)
{
    (void)state;
    in_a_process(it_is_accepted_when_it_is_taken);
    in_a_process(it_is_asked_for_again_when_it_is_not);
    in_a_process(one_that_ended_is_not_accepted);
    in_a_process(one_that_was_sent_later_is_not_accepted);
    in_a_process(one_that_is_revived_is_not_accepted);
    in_a_process(one_that_has_gone_holds_up_no_other);
    in_a_process(what_cannot_be_read_is_refused);
    in_a_process(what_is_not_durable_starts);
}

static void a_submit_is_answered_as_the_ledger_says(void **state)
{
    (void)state;
    in_a_process(a_revive_is_sent_or_refused);
    in_a_process(a_put_is_refused_as_it_failed);
    in_a_process(a_put_of_one_that_ended_is_nothing);
    in_a_process(a_put_of_one_that_was_taken_is_nothing);
    in_a_process(none_is_taken_while_there_is_trouble);
}

static void a_broker_begins_with_the_ledger_or_without(void **state)
{
    (void)state;
    in_a_process_of(is_opened, nothing_is_read_where_there_is_none);
    in_a_process_of(is_opened, the_scribe_cannot_be_started);
    in_a_process(it_begins_within_four_seconds);
    in_a_process(it_begins_with_its_rows);
}

static void what_it_may_know_is_waited_for(void **state)
{
    (void)state;
    in_a_process(nothing_is_decided_before_it_is_known);
    in_a_process(what_it_lacks_is_known_when_it_was_read);
    in_a_process_of(is_opened,
                    another_one_is_made_for_those_of_one_that_is_lost);
    in_a_process(and_none_where_there_is_one);
}

static void it_outlives_a_reboot(void **state)
{
    (void)state;
    in_a_process_of(is_opened, in_memory_it_is_not);
}

static void the_ledger_forgets_what_the_store_has_had_for_long(void **state)
{
    (void)state;
    in_a_process(it_is_trimmed_when_the_store_has_had_it_for_long);
    in_a_process(it_is_not_trimmed_while_it_takes_nothing);
    in_a_process(it_is_not_trimmed_before_it_was_read);
    in_a_process(nor_soon_after_the_store_took_an_end_at_last);
}

static void the_ledger_is_told_what_happens(void **state)
{
    (void)state;
    in_a_process(it_is_told_when_a_job_waits_until_later);
    in_a_process(it_is_told_nothing_of_others);
    in_a_process(it_is_told_no_end_that_the_store_does_not_have);
    in_a_process(but_that_of_one_that_began);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_start_is_written_before),
        cmocka_unit_test(an_answer_counts_for_what_waits_for_it),
        cmocka_unit_test(one_that_the_ledger_lacks_is_asked_for),
        cmocka_unit_test(a_submit_is_answered_as_the_ledger_says),
        cmocka_unit_test(a_broker_begins_with_the_ledger_or_without),
        cmocka_unit_test(what_it_may_know_is_waited_for),
        cmocka_unit_test(it_outlives_a_reboot),
        cmocka_unit_test(the_ledger_forgets_what_the_store_has_had_for_long),
        cmocka_unit_test(the_ledger_is_told_what_happens),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
