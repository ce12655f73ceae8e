/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A durable call of a worker, which the store has lost, and a ledger that is
 * read late: the worker gets no other call before that, and the call is none
 * that was lost. The protocol of broker_durable.h.
 */
#include "t/unit/broker_durable.h"

static worker the_worker;
static spawn_id template;
static bool worker_had_ended;

static void a_durable_call_runs(void)
{
    spawn_writer w;

    reach_a_worker(&the_worker, &template);
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static void the_store_loses_it(void)
{
    kill_broker();
    wait_for_the_scribe();
    run_sql("DELETE FROM job");
}

static void another_broker_cannot_read_the_ledger(void)
{
    hold_the_lock();
    start_broker();
    say_running_app(&template);
    say_running_worker(&the_worker);
    if (worker_had_ended)
        say_exited(&the_worker.id, 0, SIGKILL);
    expect_ready_without_the_ledger();
    say(SPAWN_M_GO);
    call_in();
}

static void expect_it_has_returned(void)
{
    is_there();
    expect_outcome(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

static void its_worker_gets_no_other_call_beside_it(void **state)
{
    spawn_id other;

    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    another_broker_cannot_read_the_ledger();
    submit(&other, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    quiet_at(the_worker.link, 50);
    the_lock_is_free();
    expect_call(&the_worker, &job); /* again, which it does not take */
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_RUNNING);
    worker_returns(&the_worker, &job);
    expect_call(&the_worker, &other);
    expect_it_has_returned();
}

static void one_that_returns_before_is_known(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    another_broker_cannot_read_the_ledger();
    worker_returns(&the_worker, &job);
    is_there();
    the_lock_is_free();
    expect_it_has_returned();
}

/* Neither has it: it is taken in when that is known. */
static void one_that_the_ledger_has_not_is_taken_in(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    ledger_sql("DELETE FROM job");
    another_broker_cannot_read_the_ledger();
    quiet_at(the_worker.link, 50);
    the_lock_is_free();
    expect_no_more(&the_worker);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_RUNNING);
    worker_returns(&the_worker, &job);
    expect_it_has_returned();
}

/* Its caller comes again too early, and must not take it for one that has not
 * run. */
static void it_does_not_run_twice(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    ledger_sql("DELETE FROM job");
    another_broker_cannot_read_the_ledger();
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    ask(&w);
    expect_refusal(SPAWN_E_UNCONFIRMED);
    the_lock_is_free();
    expect_no_more(&the_worker);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_RUNNING);
    worker_returns(&the_worker, &job);
    expect_it_has_returned();
}

/* While the ledger is read. */
static void nor_is_its_end_lost(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    ledger_sql("DELETE FROM job");
    another_broker_cannot_read_the_ledger();
    worker_returns(&the_worker, &job);
    is_there();
    the_lock_is_free();
    expect_it_has_returned();
}

static void its_worker_ends(void)
{
    say_exited(&the_worker.id, 0, SIGKILL);
    is_there();
    the_lock_is_free();
    is_there();
    expect_outcome(SPAWN_OUTCOME_SIGNALLED);
}

static void one_whose_worker_ends_before_is_taken_in(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    ledger_sql("DELETE FROM job");
    another_broker_cannot_read_the_ledger();
    its_worker_ends();
}

static void so_is_one_that_the_ledger_has(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    another_broker_cannot_read_the_ledger();
    its_worker_ends();
}

/* The spawner told that with its table. */
static void so_is_one_whose_worker_had_ended(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    a_durable_call_runs();
    the_store_loses_it();
    ledger_sql("DELETE FROM job");
    worker_had_ended = true;
    another_broker_cannot_read_the_ledger();
    the_lock_is_free();
    is_there();
    expect_outcome(SPAWN_OUTCOME_SIGNALLED);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        ALONE(its_worker_gets_no_other_call_beside_it),
        ALONE(one_that_returns_before_is_known),
        ALONE(one_that_the_ledger_has_not_is_taken_in),
        ALONE(it_does_not_run_twice),
        ALONE(nor_is_its_end_lost),
        ALONE(one_whose_worker_ends_before_is_taken_in),
        ALONE(so_is_one_that_the_ledger_has),
        ALONE(so_is_one_whose_worker_had_ended),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker durable calls", tests, NULL,
                                       NULL);
}
