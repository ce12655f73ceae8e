/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: who starts, in which order, and who does not. Links the rooms
 * base and job of the broker and the scheduler itself; what it calls beyond
 * them is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/alloc.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/perl.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"
#include "broker/run/durable.h"
#include "broker/run/durable_follow.h"
#include "broker/run/schedule.h"
#include "broker/run/when.h"

/* ---- what is played ---- */

static unsigned workers;       /* idle ones */
static const char *no_workers; /* why */
static unsigned reserved, waiting, orders;

bool spawn_pool_takes(const spawn_pool *pool)
{
    (void)pool;
    return workers > 0;
}

const char *spawn_pool_failure(const spawn_pool *pool)
{
    (void)pool;
    return no_workers;
}

void spawn_pool_dismiss_stale(const spawn_pool *pool)
{
    (void)pool;
}

void spawn_pool_consider(spawn_pool *pool, unsigned count)
{
    (void)pool;
    waiting = count;
}

void spawn_pool_reserve(spawn_job *job)
{
    (void)job;
    workers--;
    reserved++;
}

bool spawn_durable_in_trouble(const spawn_job *job)
{
    (void)job;
    return false;
}

void spawn_durable_order(spawn_job *job)
{
    (void)job;
}

void spawn_perl_order(spawn_job *job)
{
    job->perl->ordered_from = NULL;
    orders++;
}

/* Those with a step have expired. */
static unsigned may_expire;

bool spawn_when_expires(spawn_job *job)
{
    if (!job->step)
        return false;
    if (may_expire > 0) {
        may_expire--;
        spawn_job_on(job, SPAWN_JOB_ENDED);
    }
    return true;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    job->end = spawn_alloc(sizeof(*job->end));
    job->end->outcome = outcome;
    spawn_job_on(job, SPAWN_JOB_ENDED);
    return job->end;
}

void spawn_end_start_failed(spawn_job *job, spawn_step step, int error,
                            const char *text)
{
    (void)spawn_end_job(job, SPAWN_OUTCOME_START_FAILED);
    job->end->step = step;
    job->end->error = error;
    spawn_end_say(job->end, "%s", text ? text : "");
}

/* ---- the tests' world ---- */

static spawn_batch batch;
static spawn_job *jobs[256];
static unsigned count;

static spawn_job *submit_with(const char *queue, int8_t priority)
{
    spawn_id id = {{0}};
    spawn_job *job;

    id.bytes[15] = (uint8_t)(count + 1);
    job = jobs[count++] = spawn_job_new(&batch, &id);
    job->priority = priority;
    spawn_queue_join(job, queue);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static spawn_job *submit(const char *queue)
{
    return submit_with(queue, 0);
}

/* since: what it wants of its template's code. */
static spawn_job *submit_perl_since(const char *queue, const char *template,
                                    bool pooled, int64_t since)
{
    spawn_id id = {{0}};
    spawn_job *job;

    id.bytes[15] = (uint8_t)(count + 1);
    job = jobs[count++] = spawn_job_new(&batch, &id);
    spawn_queue_join(job, queue);
    job->perl = spawn_alloc(sizeof(*job->perl));
    job->perl->named = template != NULL;
    job->perl->template =
        template ? spawn_template_get(template) : job->queue->template;
    job->perl->pooled = pooled;
    job->perl->since = since;
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    return job;
}

static spawn_job *submit_perl(const char *queue, const char *template,
                              bool pooled)
{
    return submit_perl_since(queue, template, pooled, 0);
}

static void rules(unsigned max_jobs)
{
    spawn_queue_rules_begin();
    (void)spawn_queue_rule("q", max_jobs, 100, 0, "app");
    spawn_queue_rules_end();
}

static void make_pool(void)
{
    spawn_queue *q = spawn_queue_find("q");

    q->pool = spawn_alloc(sizeof(*q->pool));
    q->pool->queue = q;
    q->pool->max = 1;
}

static int setup(void **s)
{
    (void)s;
    spawn_batch_init(&batch, NULL);
    spawn_phase.recovered = spawn_phase.going = true;
    spawn_phase.lingering = false;
    workers = reserved = waiting = orders = 0;
    no_workers = NULL;
    rules(2);
    return 0;
}

static int teardown(void **s)
{
    (void)s;
    spawn_batch_store_now(&batch);
    while (spawn_batch_due(&batch))
        spawn_job_settled(spawn_batch_take(&batch, 1));
    while (count > 0) {
        spawn_job *job = jobs[--count];

        if (job->state != SPAWN_STATE_DONE)
            spawn_job_on(job, SPAWN_JOB_ENDED);
        free(job->perl);
        spawn_queue_leave(job);
        spawn_job_free(job);
    }
    spawn_queue_rules_begin();
    spawn_queue_rules_end();
    return 0;
}

/* ---- tests ---- */

static void test_first_in_first_out_up_to_max_jobs(void **s)
{
    spawn_job *a = submit("q"), *b = submit("q"), *c = submit("q");

    (void)s;
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_STARTING);
    assert_int_equal(b->state, SPAWN_STATE_STARTING);
    assert_int_equal(c->state, SPAWN_STATE_QUEUED);
    assert_true(a->launch && b->launch && !c->launch);
    assert_ptr_equal(spawn_batch_due(&batch), a); /* stored, then launched */
    spawn_job_on(a, SPAWN_JOB_ENDED);
    spawn_schedule();
    assert_int_equal(c->state, SPAWN_STATE_STARTING);
}

/* So many end in a turn, and none of the others starts in it. */
static void test_what_has_expired_ends_and_does_not_start(void **s)
{
    spawn_job *a = submit("q"), *b = submit("q"), *c = submit("q");

    (void)s;
    a->step = b->step = 1;
    may_expire = 1;
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_DONE);
    assert_int_equal(b->state, SPAWN_STATE_QUEUED);
    assert_int_equal(c->state, SPAWN_STATE_QUEUED);
    may_expire = 1;
    spawn_schedule();
    assert_int_equal(b->state, SPAWN_STATE_DONE);
    assert_int_equal(c->state, SPAWN_STATE_STARTING);
}

/* It was ended before, and came back. */
static void test_what_its_connection_has_left_ends_and_does_not_start(void **s)
{
    spawn_job *a = submit("q"), *b = submit("q");

    (void)s;
    a->unbound = true;
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_DONE);
    assert_int_equal(a->end->outcome, SPAWN_OUTCOME_CANCELLED);
    assert_non_null(strstr(a->end->text, "bound"));
    assert_int_equal(b->state, SPAWN_STATE_STARTING);
}

/* Also between jobs that wait for different things. */
static void test_higher_priority_first(void **s)
{
    spawn_job *low, *none, *high, *perl;

    (void)s;
    make_pool();
    workers = 1;
    rules(1);
    low = submit_with("q", -5);
    none = submit("q");
    high = submit_with("q", 100);
    perl = submit_perl("q", NULL, true);
    spawn_schedule();
    assert_int_equal(high->state, SPAWN_STATE_STARTING);
    spawn_job_on(high, SPAWN_JOB_ENDED);
    spawn_schedule();
    assert_int_equal(none->state, SPAWN_STATE_STARTING);
    spawn_job_on(none, SPAWN_JOB_ENDED);
    spawn_schedule();
    assert_int_equal(perl->state, SPAWN_STATE_STARTING);
    assert_int_equal(low->state, SPAWN_STATE_QUEUED);
    spawn_job_on(perl, SPAWN_JOB_ENDED);
    spawn_schedule();
    assert_int_equal(low->state, SPAWN_STATE_STARTING);
}

static void test_nothing_starts_before_go_or_after_the_end(void **s)
{
    spawn_job *job = submit("q");

    (void)s;
    spawn_phase.going = false;
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
    spawn_phase.going = spawn_phase.lingering = true;
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
}

static void test_queue_that_has_gone_starts_nothing(void **s)
{
    spawn_job *job = submit("q");

    (void)s;
    spawn_queue_rules_begin();
    spawn_queue_rules_end();
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_QUEUED);
}

/* Its template is not ready: those behind it that wait for other things go on.
 */
static void test_lane_that_cannot_start_holds_nobody(void **s)
{
    spawn_job *perl = submit_perl("q", NULL, false);
    spawn_job *program = submit("q");

    (void)s;
    spawn_schedule();
    assert_int_equal(perl->state, SPAWN_STATE_QUEUED);
    assert_int_equal(program->state, SPAWN_STATE_STARTING);
    assert_int_equal(orders, 0);
}

static void test_call_goes_to_an_idle_worker(void **s)
{
    spawn_job *a, *b;

    (void)s;
    make_pool();
    workers = 1;
    a = submit_perl("q", NULL, true);
    b = submit_perl("q", NULL, true);
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_STARTING);
    assert_int_equal(b->state, SPAWN_STATE_QUEUED);
    assert_int_equal(reserved, 1);
    assert_int_equal(waiting, 1);
}

/* By turn.c, which has its slot say so first. */
static void test_unstored_call_is_sent_in_this_turn(void **s)
{
    spawn_job *job;

    (void)s;
    make_pool();
    workers = 1;
    job = submit_perl("q", NULL, true);
    spawn_job_may_run_unstored(job);
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_STARTING);
    assert_int_equal(reserved, 1);
    assert_true(job->launch);
    assert_ptr_equal(spawn_batch_to_tell(&batch), job);
    assert_null(spawn_batch_due(&batch));
}

/* As one that was a call when it came, when the workers have gone since. */
static void test_unstored_job_without_a_slot_is_stored_first(void **s)
{
    spawn_job *job;

    (void)s;
    make_pool();
    job = submit("q");
    spawn_job_may_run_unstored(job);
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_STARTING);
    assert_ptr_equal(spawn_batch_due(&batch), job);
}

static void test_calls_without_hope_fail(void **s)
{
    spawn_job *job;

    (void)s;
    make_pool();
    no_workers = "it said no";
    job = submit_perl("q", NULL, true);
    spawn_schedule();
    assert_int_equal(job->state, SPAWN_STATE_DONE);
    assert_int_equal(job->end->step, SPAWN_STEP_TEMPLATE);
    assert_string_equal(
        job->end->text,
        "no worker of template app could get ready: it said no");
}

static unsigned ended(void)
{
    unsigned i, n = 0;

    for (i = 0; i < count; i++)
        n += jobs[i]->state == SPAWN_STATE_DONE;
    return n;
}

/* Each end is stored and told: not a whole queue of them in one turn. */
static void test_so_many_fail_in_a_turn(void **s)
{
    unsigned i;

    (void)s;
    make_pool();
    no_workers = "it said no";
    for (i = 0; i < 130; i++)
        (void)submit_perl("q", NULL, true);
    spawn_schedule();
    assert_int_equal(ended(), 64);
    assert_int_equal(jobs[63]->state, SPAWN_STATE_DONE);
    spawn_schedule();
    assert_int_equal(ended(), 128);
    spawn_schedule();
    assert_int_equal(ended(), 130);
}

/* Nobody knows when it can be stored. */
static void test_job_that_its_slot_keeps_holds_nobody(void **s)
{
    spawn_job *kept = submit("q"), *next = submit("q");

    (void)s;
    kept->slot = 1;
    assert_true(spawn_job_kept(kept));
    spawn_schedule();
    assert_int_equal(kept->state, SPAWN_STATE_QUEUED);
    assert_int_equal(next->state, SPAWN_STATE_STARTING);
    kept->slot = 0;
}

/* The ledger must not have it that one starts which the store does not know: a
 * broker that comes anew would call it lost. */
static void test_durable_job_starts_when_the_store_has_it(void **s)
{
    spawn_job *first = submit("q"), *next = submit("q");

    (void)s;
    spawn_job_on(first, SPAWN_JOB_UNDONE);
    first->ledger = SPAWN_IN_LEDGER_WAITS;
    spawn_job_on(first, SPAWN_JOB_SUBMITTED);
    spawn_schedule();
    assert_int_equal(first->state, SPAWN_STATE_QUEUED);
    assert_int_equal(next->state, SPAWN_STATE_STARTING);
    first->in_store = true;
    spawn_schedule();
    assert_int_equal(first->state, SPAWN_STATE_STARTING);
}

static void test_what_expires_without_hope_has_expired(void **s)
{
    spawn_job *a, *b;

    (void)s;
    make_pool();
    no_workers = "it said no";
    a = submit_perl("q", NULL, true);
    b = submit_perl("q", NULL, true);
    a->step = 1;
    may_expire = 0; /* in this turn */
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_QUEUED);
    assert_int_equal(b->state, SPAWN_STATE_QUEUED);
    may_expire = 1;
    spawn_schedule();
    assert_int_equal(a->state, SPAWN_STATE_DONE);
    assert_null(a->end);
    assert_int_equal(b->state, SPAWN_STATE_DONE);
    assert_int_equal(b->end->step, SPAWN_STEP_TEMPLATE);
}

static void test_programs_wait_for_no_workers(void **s)
{
    unsigned i;

    (void)s;
    make_pool();
    for (i = 0; i < 4; i++)
        (void)submit("q");
    (void)submit_perl("q", NULL, true);
    spawn_schedule();
    assert_int_equal(waiting, 1);
}

/* A template with a process that takes orders; one that began then has got
 * ready, or failed. */
static spawn_template *make_template(int64_t tried)
{
    static spawn_template_process process;
    static uint8_t its_rules;
    spawn_template *t = spawn_template_get("app");

    t->rules = &its_rules;
    t->current = &process;
    t->tried = tried;
    return t;
}

static void drop_template(void)
{
    spawn_template *t = spawn_template_get("app");

    t->rules = NULL;
    t->current = NULL;
    t->tried = 0;
}

static void test_jobs_wait_for_the_code_that_they_want(void **s)
{
    spawn_template *t = make_template(10);
    spawn_job *later, *same, *any, *latest;

    (void)s;
    rules(10);
    later = submit_perl_since("q", NULL, false, 20);
    same = submit_perl_since("q", NULL, false, 10);
    any = submit_perl_since("q", NULL, false, 0);
    latest = submit_perl_since("q", NULL, false, 21);
    spawn_schedule();
    assert_int_equal(later->state, SPAWN_STATE_QUEUED);
    assert_int_equal(same->state, SPAWN_STATE_STARTING);
    assert_int_equal(any->state, SPAWN_STATE_STARTING);
    t->tried = 20;
    spawn_schedule();
    assert_int_equal(later->state, SPAWN_STATE_STARTING);
    assert_int_equal(latest->state, SPAWN_STATE_QUEUED);
    t->tried = 25;
    spawn_schedule();
    assert_int_equal(latest->state, SPAWN_STATE_STARTING);
    drop_template();
}

/* One that came back does not wait again, nor for another one. */
static void test_what_was_there_once_is_waited_for_no_more(void **s)
{
    spawn_job *job;

    (void)s;
    (void)make_template(10);
    job = submit_perl_since("q", NULL, false, 10);
    assert_int_equal(job->perl->since, 0);
    drop_template();
}

/* No worker is forked for them, and they do not fail when none gets ready. */
static void test_calls_that_wait_for_code_want_no_workers(void **s)
{
    spawn_template *t = make_template(10);
    spawn_job *call;

    (void)s;
    make_pool();
    workers = 1;
    no_workers = "it said no";
    call = submit_perl_since("q", NULL, true, 20);
    spawn_schedule();
    assert_int_equal(call->state, SPAWN_STATE_QUEUED);
    assert_int_equal(waiting, 0);
    assert_int_equal(reserved, 0);
    t->current = NULL;                               /* nor does it load */
    t->failure = (char *)(uintptr_t) "no such file"; /* of the old code */
    spawn_schedule();
    assert_int_equal(call->state, SPAWN_STATE_QUEUED);
    t->tried = 20; /* of the new one, too */
    no_workers = t->failure;
    spawn_schedule();
    assert_int_equal(call->state, SPAWN_STATE_DONE);
    assert_string_equal(call->end->text,
                        "template app cannot be loaded: no such file");
    t->failure = NULL;
    drop_template();
}

static void test_there_is_a_place_or_not(void **s)
{
    const spawn_queue *q = spawn_queue_find("q");

    (void)s;
    assert_true(spawn_schedule_at_once(q));
    spawn_phase.going = false;
    assert_false(spawn_schedule_at_once(q));
    spawn_phase.going = true;
    (void)submit("q");
    (void)submit("q");
    spawn_schedule();
    assert_false(spawn_schedule_at_once(q));
    spawn_phase.going = false;
    assert_false(spawn_schedule_at_once(q));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_first_in_first_out_up_to_max_jobs),
        TEST(test_what_has_expired_ends_and_does_not_start),
        TEST(test_what_its_connection_has_left_ends_and_does_not_start),
        TEST(test_higher_priority_first),
        TEST(test_nothing_starts_before_go_or_after_the_end),
        TEST(test_queue_that_has_gone_starts_nothing),
        TEST(test_lane_that_cannot_start_holds_nobody),
        TEST(test_call_goes_to_an_idle_worker),
        TEST(test_unstored_call_is_sent_in_this_turn),
        TEST(test_unstored_job_without_a_slot_is_stored_first),
        TEST(test_calls_without_hope_fail),
        TEST(test_so_many_fail_in_a_turn),
        TEST(test_job_that_its_slot_keeps_holds_nobody),
        TEST(test_durable_job_starts_when_the_store_has_it),
        TEST(test_what_expires_without_hope_has_expired),
        TEST(test_programs_wait_for_no_workers),
        TEST(test_jobs_wait_for_the_code_that_they_want),
        TEST(test_what_was_there_once_is_waited_for_no_more),
        TEST(test_calls_that_wait_for_code_want_no_workers),
        TEST(test_there_is_a_place_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
