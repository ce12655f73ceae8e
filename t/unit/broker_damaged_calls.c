/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A damaged store is set aside while a worker runs a call that was stored
 * there: the call is taken into the new one, and the worker gets no other call
 * beside it. The protocol of broker_called.h.
 */
#include "t/unit/broker_called.h"

/* Stored, so that its ticket says no more than its id. */
static void a_stored_call_runs(void)
{
    worker_is_ready();
    log_is_kept = true;
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static void broker_is_killed_and_the_store_damaged(const char *table)
{
    kill_broker();
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    damage_table(table);
}

static void the_store_is_damaged(const char *table)
{
    broker_is_killed_and_the_store_damaged(table);
    start_another(&the_worker, &template);
    assert_int_equal(logged("MS0866"), 1);
}

/* The next broker takes it in. */
static void a_call_returns_while_the_store_is_damaged(const char *table)
{
    a_stored_call_runs();
    broker_is_killed_and_the_store_damaged(table);
    worker_returns(&the_worker, &job);
    start_another(&the_worker, &template);
}

static void look(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

static void look_for_none(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED);
}

static void expect_it_runs(const char *label)
{
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_RUNNING);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 4000000);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""), label);
    assert_int_equal(logged("MS0896"), 1);
}

/* The template forks another one then, since nobody has its arguments. */
static void expect_it_returns(void)
{
    worker_returns(&the_worker, &job);
    is_there();
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    expect_no_more(&the_worker);
}

static void a_call_of_a_worker_is_taken_in(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("output");
    expect_it_runs("a call");
    expect_it_returns();
}

static void so_is_one_of_which_nothing_can_be_read(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("job");
    expect_it_runs("the store was damaged");
    expect_it_returns();
}

/* And gets none after it. */
static void its_worker_gets_no_other_call(void **state)
{
    spawn_id other;

    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("output");
    submit(&other, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_no_more(&the_worker); /* the end of its calls, at once */
    expect_it_runs("a call");
    expect_it_returns();
}

/* It is submitted again by its caller. */
static void it_does_not_run_twice(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("job");
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    expect_no_more(&the_worker);
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

/* The broker that took it in is killed before it could store that. */
static void the_next_broker_knows_it_too(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("job");
    kill_broker();
    run_sql("DELETE FROM job");
    start_another(&the_worker, &template);
    expect_it_runs("the store was damaged");
    expect_it_returns();
}

static void nor_is_its_end_lost(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("job");
    kill_broker();
    run_sql("DELETE FROM job");
    worker_returns(&the_worker, &job);
    start_another(&the_worker, &template);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

/* It was killed before it sent the call, or the worker before it read it. */
static void one_that_was_not_begun_is_lost(void **state)
{
    (void)state;
    a_stored_call_runs();
    the_store_is_damaged("output");
    expect_it_runs("a call");
    say_exited(&the_worker.id, 0, 0);
    time_goes_on();
    do { /* before another one is ordered, or after */
        next_message();
    } while (message.header.type == SPAWN_M_LAUNCH);
    assert_int_equal(message.header.type, SPAWN_M_FORGET);
    is_of(&the_worker.id);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_LOST);
}

static void expect_it_has_returned(void)
{
    expect_told(SPAWN_OUTCOME_EXITED); /* and does not run */
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(logged("MS0896"), 1);
}

/* Before another broker looks. */
static void one_that_has_returned_is_taken_in(void **state)
{
    (void)state;
    a_call_returns_while_the_store_is_damaged("output");
    is_there();
    expect_it_has_returned();
    assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""), "a call");
    submit(&job, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&the_worker, &job); /* it serves others */
}

static void so_is_one_whose_worker_has_ended_since(void **state)
{
    (void)state;
    a_stored_call_runs();
    broker_is_killed_and_the_store_damaged("job");
    worker_returns(&the_worker, &job);
    start_broker();
    say_running_app(&template);
    say_running_worker(&the_worker);
    say_exited(&the_worker.id, 0, 0);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    expect_it_has_returned();
}

/* The broker that took it in is killed before it could store that. */
static void the_next_broker_knows_that_it_has_returned(void **state)
{
    (void)state;
    a_call_returns_while_the_store_is_damaged("job");
    is_there();
    kill_broker();
    run_sql("DELETE FROM job");
    start_another(&the_worker, &template);
    is_there();
    expect_it_has_returned();
}

/* As the store has it that was set aside. */
static void the_order_of_a_program_is_not_believed(void **state)
{
    (void)state;
    a_stored_call_runs();
    kill_broker();
    run_sql("DELETE FROM job");
    put_job(&job, SPAWN_STATE_RUNNING, NULL);
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    damage_table("output");
    start_another(&the_worker, &template);
    expect_it_runs("the store was damaged");
    expect_it_returns();
}

/* Once its worker has another call nothing else has its end. */
static void the_end_of_one_is_stored_at_once(void **state)
{
    (void)state;
    a_call_returns_while_the_store_is_damaged("output");
    is_there();
    kill_broker();
    expect_sql("SELECT state FROM job", "4");
}

/* Not to be held open as long as the broker lives. */
static void what_was_set_aside_is_closed(void **state)
{
    spawn_id call;

    (void)state;
    ONLY_ROOT_LOOKS;
    a_stored_call_runs();
    call = job;
    kill_broker();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_RUNNING, NULL);
    run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    damage_table("output");
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 4242, 1000);
    say_running_app(&template);
    say_running_worker(&the_worker);
    go();
    call_in();
    look();
    job = call;
    look();
    assert_int_equal(logged("MS0896"), 2);
    assert_int_equal(has_open("damaged-"), 0);
}

/* No store was damaged: the history has let go of it. */
static void one_that_was_forgotten_is_not_taken_in(void **state)
{
    (void)state;
    a_stored_call_runs();
    worker_returns(&the_worker, &job);
    is_there();
    kill_broker();
    run_sql("DELETE FROM job");
    start_another(&the_worker, &template);
    look_for_none();
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_call_of_a_worker_is_taken_in),
        ALONE(so_is_one_of_which_nothing_can_be_read),
        ALONE(its_worker_gets_no_other_call),
        ALONE(it_does_not_run_twice),
        ALONE(the_next_broker_knows_it_too),
        ALONE(nor_is_its_end_lost),
        ALONE(one_that_was_not_begun_is_lost),
        ALONE(one_that_has_returned_is_taken_in),
        ALONE(so_is_one_whose_worker_has_ended_since),
        ALONE(the_next_broker_knows_that_it_has_returned),
        ALONE(the_order_of_a_program_is_not_believed),
        ALONE(the_end_of_one_is_stored_at_once),
        ALONE(what_was_set_aside_is_closed),
        ALONE(one_that_was_forgotten_is_not_taken_in),
    };

    find_broker();
    return cmocka_run_group_tests_name("broker damaged calls", tests, NULL,
                                       NULL);
}
