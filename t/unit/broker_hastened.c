/* SPDX-License-Identifier: Apache-2.0 */
/*
 * START_NOW: a job that waits for its time waits for it no more, and that is
 * kept over a kill of the broker and a power cut. It passes nobody by: its
 * turn, its key and the jobs before it are waited for. The protocol of
 * broker_durable.h.
 */
#include "t/unit/broker_durable_tried.h"

#include "common/spawn_rule.h"

static void begin_delayed(spawn_writer *w)
{
    assert_int_equal(spawn_id_make(&job), 0);
    begin_submit(w, &job, "/bin/true");
    spawn_put_u64(w, SPAWN_A_DELAY, HOUR);
}

static void one_waits(void)
{
    spawn_writer w;

    begin_delayed(&w);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void start_now(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_START_NOW, &job);
    ask(&w);
}

static void expect_state(spawn_state state)
{
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0), state);
}

/* The only place of the queue is taken. */
static spawn_id one_runs(void)
{
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    return job;
}

static void it_runs(void)
{
    it_starts(1);
    ends(0);
}

/* The place of one that has ended is taken by this one. */
static void next_one(const spawn_id *ended, const spawn_id *next)
{
    say_exited(ended, 0, 0);
    job = *next;
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_FORGET, ended);
    say_started(&job);
}

/* ---- what is promised ---- */

static void it_starts_at_once(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits();
    expect_state(SPAWN_STATE_DELAYED);
    quiet_for(1);
    start_now();
    it_runs();
    expect_answer(SPAWN_M_DONE);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

static void so_does_the_next_attempt(void **state)
{
    (void)state;
    reach_go_and_call_in();
    one_waits_for_another_attempt(HOUR, NULL);
    expect_pause();
    start_now();
    it_starts(2);
    expect_answer(SPAWN_M_DONE);
}

static void it_waits_for_its_turn(void **state)
{
    spawn_id first, second, runs;

    (void)state;
    runs = one_runs();
    one_waits();
    first = job;
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    second = job;
    job = first;
    start_now();
    expect_answer(SPAWN_M_DONE);
    quiet_for(1);
    expect_state(SPAWN_STATE_QUEUED);
    next_one(&runs, &second); /* which has waited for longer */
    next_one(&second, &first);
}

static void it_waits_for_the_one_before_it(void **state)
{
    spawn_id before;
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
    before = job;
    begin_delayed(&w);
    spawn_put_bytes(&w, SPAWN_A_AFTER, &before, sizeof(before));
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    start_now();
    expect_answer(SPAWN_M_DONE);
    quiet_for(1);
    expect_state(SPAWN_STATE_QUEUED);
    say_exited(&before, 0, 0);
    expect_id(SPAWN_M_FORGET, &before);
    it_starts(1);
}

/* The key is its own already: another one is refused as before. */
static void it_keeps_its_key(void **state)
{
    spawn_writer w;
    spawn_id first;

    (void)state;
    (void)one_runs();
    begin_delayed(&w);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    first = job;
    start_now();
    expect_answer(SPAWN_M_DONE);
    begin_delayed(&w);
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    ask(&w);
    expect_refusal(SPAWN_E_NOT_UNIQUE);
    job = first;
    expect_state(SPAWN_STATE_QUEUED);
}

/* As one whose time has come. */
static void a_full_queue_does_not_refuse_it(void **state)
{
    spawn_id runs;

    (void)state;
    queue_waits = 0;
    runs = one_runs();
    one_waits();
    start_now();
    expect_answer(SPAWN_M_DONE);
    next_one(&runs, &job);
}

static void the_next_broker_starts_it(void **state)
{
    (void)state;
    (void)one_runs();
    one_waits();
    start_now();
    expect_answer(SPAWN_M_DONE);
    everything_is_killed();
    another_broker();
    it_runs();
}

/* The store has lost it, and the ledger has not. */
static void a_power_cut_does_not_make_a_durable_one_wait(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    (void)one_runs();
    a_durable_job_waits();
    start_now();
    expect_answer(SPAWN_M_DONE);
    has_heard();
    the_power_was_cut("UPDATE job SET due_at = 32503680000000, due_boot = NULL"
                      " WHERE state = 1");
    another_broker();
    it_runs();
}

static void so_it_is_when_the_ledger_is_read_late(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    (void)one_runs();
    a_durable_job_waits();
    start_now();
    expect_answer(SPAWN_M_DONE);
    has_heard();
    the_power_was_cut("UPDATE job SET due_at = 32503680000000, due_boot = NULL"
                      " WHERE state = 1");
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    expect_state(SPAWN_STATE_DELAYED);
    the_lock_is_free();
    it_runs();
}

/* ---- what does not wait for its time ---- */

static void refused(spawn_error code)
{
    start_now();
    expect_refusal(code);
}

static void others_are_refused(void **state)
{
    spawn_id runs;

    (void)state;
    runs = one_runs();
    refused(SPAWN_E_NOT_DELAYED);
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    refused(SPAWN_E_NOT_DELAYED);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "not for its time"));
    next_one(&runs, &job);
    refused(SPAWN_E_NOT_DELAYED);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "has begun"));
    job = runs;
    refused(SPAWN_E_NOT_DELAYED);
    assert_non_null(
        strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), "has ended"));
    assert_int_equal(spawn_id_make(&job), 0);
    refused(SPAWN_E_NO_SUCH_JOB);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_starts_at_once),
        TEST(so_does_the_next_attempt),
        TEST(it_waits_for_its_turn),
        TEST(it_waits_for_the_one_before_it),
        TEST(it_keeps_its_key),
        TEST(a_full_queue_does_not_refuse_it),
        TEST(the_next_broker_starts_it),
        TEST(a_power_cut_does_not_make_a_durable_one_wait),
        TEST(so_it_is_when_the_ledger_is_read_late),
        TEST(others_are_refused),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
