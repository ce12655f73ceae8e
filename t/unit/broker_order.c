/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that come after another one, when the store cannot be read just then: it
 * is looked at again until it can; or when the store does not take a job of the
 * spool, which comes again. Links the rooms base and job of the broker and
 * run/order.c; the store and the ends of jobs are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_os.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/needs.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/order.h"
#include "broker/store/store.h"
#include "t/unit/log_lines.h"

/* ---- what is played ---- */

static bool unreadable;
static unsigned looks;
static spawn_known_end known; /* of every job */

int spawn_store_outcome(spawn_store *store, const spawn_id *id,
                        spawn_known_end *ret)
{
    (void)store, (void)id;
    looks++;
    if (unreadable)
        return -1;
    *ret = known;
    return 1;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    spawn_job_on(job, SPAWN_JOB_ENDED);
    job->end = spawn_alloc(sizeof(*job->end));
    job->end->outcome = outcome;
    return job->end;
}

bool spawn_durable_undecided(const spawn_job *job)
{
    (void)job;
    return false;
}

bool spawn_durable_unread(void)
{
    return false;
}

/* ---- jobs ---- */

static spawn_batch batch;
static spawn_job *first, *second;

static spawn_job *make_as(const spawn_id *id, const spawn_job *after)
{
    spawn_job *job = spawn_job_new(&batch, id);

    spawn_queue_join(job, "q");
    if (after)
        spawn_needs_make(job, after->id.bytes, 1, SPAWN_AFTER_FAILED_CANCEL);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    job->in_store = true;
    return job;
}

static spawn_job *make(const spawn_job *after)
{
    spawn_id id;

    (void)spawn_id_make(&id);
    return make_as(&id, after);
}

static void drop(spawn_job *job)
{
    spawn_order_gone(job);
    spawn_queue_leave(job);
    free(job->end);
    job->end = NULL;
    spawn_job_free(job);
}

static int set_up(void **state)
{
    (void)state;
    spawn_batch_init(&batch, NULL);
    memset(&known, 0, sizeof(known));
    known.done = known.good = true;
    unreadable = true;
    looks = 0;
    first = make(NULL);
    second = make(first);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unreadable = false;
    spawn_order_follow();
    spawn_batch_store_now(&batch);
    if (spawn_batch_take(&batch, spawn_batch_part(&batch)))
        spawn_job_settled(second);
    drop(second);
    return 0;
}

static void the_first_ends(void)
{
    (void)spawn_end_job(first, SPAWN_OUTCOME_EXITED);
    drop(first);
    spawn_order_follow();
}

static void time_passes(void)
{
    int64_t next = spawn_timer_next();

    assert_true(next >= 0 && next <= spawn_mono_ms() + 2000);
    spawn_timers_run(next);
    spawn_order_follow(); /* as at the end of each turn */
}

static void goes_on(void)
{
    assert_int_equal(second->blocked, SPAWN_BLOCKED_BY_JOBS);
    time_passes();
    assert_int_equal(second->blocked, SPAWN_BLOCKED_BY_JOBS);
    unreadable = false;
    time_passes();
    assert_int_equal(second->blocked, 0);
    looks = 0;
    spawn_order_follow();
    assert_int_equal(looks, 0);
}

/* ---- the tests ---- */

static void an_end_that_cannot_be_read_counts_later(void **state)
{
    (void)state;
    the_first_ends();
    assert_int_equal(looks, 1);
    goes_on();
}

static void many_cannot_be_read(void)
{
    int i;

    for (i = 0; i < 60; i++) {
        the_first_ends();
        (void)tear_down(NULL); /* it can be read then, */
        (void)set_up(NULL);    /* and cannot again */
    }
}

/* The limit of lines is one for all of them. */
static void of_many_some_are_told(void **state)
{
    (void)state;
    assert_in_range(lines_of("MS0868: ", many_cannot_be_read), 1,
                    2 * SPAWN_LOG_FEW);
    the_first_ends();
}

static void so_does_a_bad_one(void **state)
{
    (void)state;
    known.good = false;
    known.outcome = SPAWN_OUTCOME_EXITED;
    known.exit_code = 3;
    the_first_ends();
    assert_int_equal(second->state, SPAWN_STATE_QUEUED);
    unreadable = false;
    time_passes();
    assert_int_equal(second->state, SPAWN_STATE_DONE);
    assert_int_equal(second->end->outcome, SPAWN_OUTCOME_CANCELLED);
    assert_non_null(strstr(second->end->text, "exit code 3"));
    free(second->end->text);
    second->end->text = NULL;
}

/* Its submit comes when the other one has ended. */
static void so_does_one_before_the_submit(void **state)
{
    (void)state;
    spawn_job_on(first, SPAWN_JOB_ENDED); /* nobody hears of it */
    spawn_queue_leave(first);
    spawn_job_free(first);
    spawn_order_stored(second);
    spawn_order_follow();
    assert_int_equal(looks, 1);
    goes_on();
}

static void so_does_one_before_the_broker(void **state)
{
    (void)state;
    spawn_job_on(first, SPAWN_JOB_ENDED);
    spawn_queue_leave(first);
    spawn_job_free(first);
    spawn_order_settle();
    assert_int_equal(looks, 1);
    spawn_order_follow();
    goes_on();
}

/* Those that have ended are gone when the next turn ends. */
static unsigned end_in_a_turn(spawn_job **jobs, unsigned count)
{
    unsigned ended = 0, i;

    spawn_order_follow();
    for (i = 0; i < count; i++) {
        if (!jobs[i] || jobs[i]->state != SPAWN_STATE_DONE)
            continue;
        free(jobs[i]->end->text);
        drop(jobs[i]);
        jobs[i] = NULL;
        ended++;
    }
    return ended;
}

static void so_many_end_in_a_turn(void **state)
{
    static spawn_job *jobs[2500];
    unsigned i;

    (void)state;
    unreadable = false;
    known.good = false;
    known.outcome = SPAWN_OUTCOME_EXITED;
    (void)spawn_end_job(second, SPAWN_OUTCOME_LOST);
    drop(second);
    for (i = 0; i < 2500; i++)
        jobs[i] = make(first);
    (void)spawn_end_job(first, SPAWN_OUTCOME_EXITED);
    drop(first);
    assert_int_equal(end_in_a_turn(jobs, 2500), 1000);
    assert_int_equal(end_in_a_turn(jobs, 2500), 1000);
    assert_int_equal(end_in_a_turn(jobs, 2500), 500);
    second = make(NULL);
}

static void the_store_is_asked_once(void **state)
{
    spawn_job *third = make(first);

    (void)state;
    unreadable = false;
    the_first_ends();
    assert_int_equal(looks, 1);
    assert_int_equal(second->blocked, 0);
    assert_int_equal(third->blocked, 0);
    spawn_batch_store_now(&batch);
    (void)spawn_batch_take(&batch, spawn_batch_part(&batch));
    spawn_job_settled(second);
    spawn_job_settled(third);
    drop(third);
}

/* ---- a job of the spool that the store does not take ---- */

static void the_first_is_not_taken(spawn_id *ret)
{
    *ret = first->id;
    unreadable = false;
    first->in_store = false;
    first->spooled = true;
    spawn_job_on(first, SPAWN_JOB_UNDONE);
    drop(first);
    spawn_order_follow();
    spawn_order_stored(second);
    spawn_order_follow();
}

/* Its file is tried again. */
static void one_whose_file_stays_is_waited_for(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    known.good = false;
    for (i = 0; i < 2; i++) {
        the_first_is_not_taken(&id);
        assert_int_equal(second->state, SPAWN_STATE_QUEUED);
        assert_int_equal(second->blocked, SPAWN_BLOCKED_BY_JOBS);
        first = make_as(&id, NULL);
        spawn_order_follow();
    }
    known.good = true;
    the_first_ends();
    assert_int_equal(second->blocked, 0);
}

static void one_whose_file_is_put_aside_never_was(void **state)
{
    spawn_id id;

    (void)state;
    the_first_is_not_taken(&id);
    assert_int_equal(second->state, SPAWN_STATE_QUEUED);
    spawn_order_forgotten(&id);
    spawn_order_follow();
    assert_int_equal(second->state, SPAWN_STATE_DONE);
    assert_int_equal(second->end->outcome, SPAWN_OUTCOME_CANCELLED);
    free(second->end->text);
    second->end->text = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_end_that_cannot_be_read_counts_later),
        TEST(of_many_some_are_told),
        TEST(so_does_a_bad_one),
        TEST(so_does_one_before_the_submit),
        TEST(so_does_one_before_the_broker),
        TEST(the_store_is_asked_once),
        TEST(so_many_end_in_a_turn),
        TEST(one_whose_file_stays_is_waited_for),
        TEST(one_whose_file_is_put_aside_never_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
