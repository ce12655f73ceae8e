/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the jobs that a broker finds has a unique key, and which of them are
 * replaced. Links the rooms base and job of the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_rule.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/job/unique.h"

static spawn_batch batch;
static spawn_job *jobs[8];
static unsigned count;

/* ---- jobs ---- */

/* As a broker finds it, which has not asked yet what became of it. */
static spawn_job *found(bool begun, int64_t until, int64_t submitted_at)
{
    const spawn_moment stored = {.wall = until};
    spawn_job *job;
    spawn_id id;

    (void)spawn_id_make(&id);
    job = spawn_job_new(&batch, &id);
    job->submitted_at = submitted_at;
    spawn_queue_join(job, "q");
    spawn_claim_found(job, "k", &stored, begun);
    jobs[count++] = job;
    return job;
}

static spawn_job *waits(bool begun)
{
    spawn_job *job = found(begun, SPAWN_UNIQUE_ENDED, 1);

    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static spawn_job *runs(void)
{
    spawn_job *job = found(false, SPAWN_UNIQUE_ENDED, 1);

    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    return job;
}

/* Its end came before the store had it. */
static spawn_job *has_ended(int64_t until)
{
    spawn_job *job = found(false, until, 1);

    job->started_at = 1;
    spawn_job_on(job, SPAWN_JOB_ENDED);
    return job;
}

static void is_stored(spawn_job *job)
{
    unsigned i = 0;

    while (jobs[i] != job)
        i++;
    jobs[i] = NULL;
    spawn_claim_drop(job);
    spawn_queue_leave(job);
    spawn_job_free(job);
}

static spawn_job *who_has_it(void)
{
    spawn_key *key = spawn_key_find("q", "k");
    spawn_id id;

    return key ? spawn_key_job(key, &id) : NULL;
}

static int set_up(void **state)
{
    (void)state;
    spawn_batch_init(&batch, NULL);
    count = 0;
    spawn_keys_begin();
    return 0;
}

static int tear_down(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < count; i++) {
        if (!jobs[i])
            continue;
        if (jobs[i]->state != SPAWN_STATE_DONE)
            spawn_job_on(jobs[i], SPAWN_JOB_ENDED);
        is_stored(jobs[i]);
    }
    return spawn_key_count() == 0 ? 0 : -1;
}

/* ---- who has it ---- */

static void one_that_runs_had_it(void **state)
{
    spawn_job *running;

    (void)state;
    (void)has_ended(SPAWN_UNIQUE_ENDED);
    (void)waits(true);
    running = runs();
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), running);
}

/* It waits for its next attempt, so it has not given the key up. */
static void else_one_that_has_had_an_attempt(void **state)
{
    spawn_job *ended, *between, *other;

    (void)state;
    ended = has_ended(SPAWN_UNIQUE_ENDED);
    other = waits(false);
    between = waits(true);
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), between);
    is_stored(ended);
    assert_ptr_equal(who_has_it(), between);
    assert_int_equal(between->blocked, 0);
    assert_int_equal(other->blocked, SPAWN_BLOCKED_BY_KEY);
}

/* The others wait until its end is stored. */
static void else_the_last_that_has_ended(void **state)
{
    spawn_job *ended, *other;

    (void)state;
    (void)has_ended(SPAWN_UNIQUE_ENDED);
    other = waits(false);
    ended = has_ended(SPAWN_UNIQUE_ENDED);
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), ended);
    assert_int_equal(other->blocked, SPAWN_BLOCKED_BY_KEY);
    is_stored(ended);
    is_stored(jobs[0]);
    assert_ptr_equal(who_has_it(), other);
    assert_int_equal(other->blocked, 0);
}

/* It had it until its start. */
static void not_one_that_has_given_it_up(void **state)
{
    spawn_job *other;

    (void)state;
    (void)has_ended(SPAWN_UNIQUE_WAITING);
    spawn_keys_settle();
    assert_null(spawn_key_find("q", "k"));
    spawn_keys_begin();
    other = waits(false);
    (void)has_ended(SPAWN_UNIQUE_WAITING);
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), other);
    assert_int_equal(other->blocked, 0);
}

/* It could not be started. */
static void but_one_that_never_ran(void **state)
{
    spawn_job *job;

    (void)state;
    job = found(false, SPAWN_UNIQUE_WAITING, 1);
    spawn_job_on(job, SPAWN_JOB_ENDED);
    (void)waits(false);
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), job);
}

/* ---- who is replaced ---- */

static bool is_replaced(const spawn_job *job, const spawn_job *by)
{
    return job->claim->replaced && spawn_id_equal(&job->claim->by, &by->id)
           && job->blocked & SPAWN_BLOCKED_FOR_GOOD;
}

/* Only the ledger had it, so it is found last. */
static spawn_job *replaces_late(int64_t submitted_at)
{
    spawn_job *job = found(false, SPAWN_UNIQUE_ENDED, submitted_at);

    spawn_claim_replaces_late(job);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static void those_before_it_are_replaced(void **state)
{
    spawn_job *first, *then, *by;

    (void)state;
    first = found(false, SPAWN_UNIQUE_ENDED, 5);
    spawn_job_on(first, SPAWN_JOB_SUBMITTED);
    then = found(false, SPAWN_UNIQUE_ENDED, 7);
    spawn_job_on(then, SPAWN_JOB_SUBMITTED);
    by = replaces_late(6);
    spawn_keys_settle();
    assert_true(is_replaced(first, by));
    assert_false(then->claim->replaced);
    assert_false(by->claim->replaced);
}

static void not_one_that_runs(void **state)
{
    spawn_job *running, *by;

    (void)state;
    running = runs();
    by = replaces_late(6);
    spawn_keys_settle();
    assert_ptr_equal(who_has_it(), running);
    assert_false(running->claim->replaced);
    assert_int_equal(by->blocked, SPAWN_BLOCKED_BY_KEY);
}

static void two_do_not_replace_each_other(void **state)
{
    spawn_job *one, *other;

    (void)state;
    one = replaces_late(6);
    other = replaces_late(6);
    spawn_keys_settle();
    assert_true(is_replaced(one, other));
    assert_false(other->claim->replaced);
}

/* The ledger could not be read before. */
static void also_when_all_is_known(void **state)
{
    spawn_job *first, *by;

    (void)state;
    spawn_keys_settle();
    first = found(false, SPAWN_UNIQUE_ENDED, 5);
    spawn_job_on(first, SPAWN_JOB_SUBMITTED);
    by = replaces_late(6);
    assert_true(is_replaced(first, by));
}

static void one_that_never_was_replaces_nobody(void **state)
{
    spawn_job *first, *second, *by;

    (void)state;
    first = waits(false);
    second = waits(false);
    spawn_keys_settle();
    by = found(false, SPAWN_UNIQUE_ENDED, 2);
    spawn_claim_replaces(by);
    assert_true(is_replaced(first, by));
    assert_true(is_replaced(second, by));
    is_stored(by); /* it has no state: it never was */
    assert_int_equal(first->blocked, 0);
    assert_int_equal(second->blocked, SPAWN_BLOCKED_BY_KEY);
    assert_false(first->claim->replaced || second->claim->replaced);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_runs_had_it),
        TEST(else_one_that_has_had_an_attempt),
        TEST(else_the_last_that_has_ended),
        TEST(not_one_that_has_given_it_up),
        TEST(but_one_that_never_ran),
        TEST(those_before_it_are_replaced),
        TEST(not_one_that_runs),
        TEST(two_do_not_replace_each_other),
        TEST(also_when_all_is_known),
        TEST(one_that_never_was_replaces_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
