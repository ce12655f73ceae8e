/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of workers that run before the store has them: from when a call is sent
 * until its end is told, a slot of the inbox says so. The same job may come by
 * another way meanwhile.
 */
#include "t/unit/broker_called.h"

/* ---- how long it has a slot ---- */

static void it_has_a_slot_until_its_end_is_told(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    assert_int_equal(full_slots(), 1);
    assert_true(mark() != 0);
    returns_and_is_told();
    is_there();
    assert_int_equal(full_slots(), 0);
    the_store_has("0");
}

static void one_that_waits_for_a_worker_has_none(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    queue_waits = 200;
    worker_is_ready();
    a_call_runs();
    for (i = 0; i < 60; i++)
        submit(&id, SPAWN_REPLY_FINISHED);
    is_there();
    assert_int_equal(full_slots(), 1);
    the_store_has("0"); /* and nothing is crowded */
}

/* Its worker dies as it is sent. */
static void a_call_comes_back(void)
{
    worker_is_ready();
    assert_int_equal(shutdown(the_worker.link, SHUT_RD), 0);
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
}

static void nor_has_one_that_waits_again(void **state)
{
    (void)state;
    a_call_comes_back();
    assert_int_equal(full_slots(), 0);
    the_store_has("0");
}

/* Others may have the one that it had. */
static void it_has_another_one_then(void **state)
{
    worker other;
    spawn_id id;

    (void)state;
    a_call_comes_back();
    worker_starts(&other);
    post(&id);
    expect_id(SPAWN_M_LAUNCH, &id);
    is_there();
    assert_int_equal(full_slots(), 1);
    worker_says(&other, NULL);
    expect_call(&other, &job);
    comes_to_rest();
    assert_int_equal(full_slots(), 2);
}

static void one_that_is_stored_has_none(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
    the_store_has("1");
}

/* A caller that asks for accepted is not let down when the first caller has its
 * end. */
static void what_was_accepted_is_stored(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    call_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    the_store_has("1");
}

/* Nor is one that asks for it of a call that waits, and has no slot. */
static void so_is_one_that_waits(void **state)
{
    (void)state;
    make_store();
    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    call_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    the_store_has("1");
}

static void a_call_waits_and_is_killed(void)
{
    spawn_writer w;

    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    (void)close(caller);
    call_in();
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
}

/* Else its caller, who comes again, would have it run. */
static void so_is_one_that_is_killed(void **state)
{
    (void)state;
    make_store();
    a_call_waits_and_is_killed();
    expect_answer(SPAWN_M_DONE);
    another_pair();
    expect_told(SPAWN_OUTCOME_CANCELLED);
}

static void or_else_nobody_is_told_that_it_is(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    a_call_waits_and_is_killed();
    expect_refusal(SPAWN_E_STORE);
}

/* The end that nobody was told is noted. */
static void it_stays_when_its_caller_has_left(void **state)
{
    (void)state;
    worker_is_ready();
    a_call_runs();
    (void)close(caller);
    call_in();
    worker_returns(&the_worker, &job);
    is_there();
    assert_int_equal(full_slots(), 1);
    another_pair();
    expect_told(SPAWN_OUTCOME_EXITED);
    assert_int_equal(full_slots(), 0);
}

/* ---- without a slot ---- */

static void no_more_slots(void)
{
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    is_there();
}

static void without_a_slot_it_is_stored_before_it_is_sent(void **state)
{
    (void)state;
    worker_is_ready();
    no_more_slots();
    a_call_runs();
    the_store_has("1");
    start_another(&the_worker, &template);
    expect_call(&the_worker, &job); /* it may not have arrived */
}

static void or_else_it_is_not_sent(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    no_more_slots();
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_STORE);
    expect_no_call(&the_worker);
}

/* ---- the same job by another way ---- */

static void it_is_posted_too(void)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_POST);
    send_post(&w);
}

/* In the turn in which the store does not take it. */
static void a_post_of_it_does_not_run_it_again(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs();
    broker_sleeps();
    begin(&w, SPAWN_M_GET, &job); /* which has it stored */
    ask(&w);
    it_is_posted_too();
    broker_goes_on();
    (void)receive_at(caller, SPAWN_FROM_BROKER);
    is_there();
    kill_broker();
    run_sql("DROP TRIGGER no");
    another_spawner();
    workers_min = 0;
    reach_go();
    template_starts(&template, true);
    quiet_for(NO_EVENT);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || outcome FROM job", "1 8");
}

/* Its caller has its end, and the history does without it. */
static void nor_when_the_store_never_had_it(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    log_is_kept = true;
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs();
    it_is_posted_too();
    is_there();
    returns_and_is_told();
    time_moves(25);
    wait_until_logged("MS0530", 1);
    time_moves(1100); /* a post that waits is tried again */
    is_there();
    is_there();
    expect_no_call(&the_worker);
}

/* The program may be refused, and the post may not. */
static void a_post_outlives_who_waits_for_the_same(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    time_stands();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    assert_int_equal(full_slots(), 0);
    begin_post(&w, &job, "/bin/true");
    send_post(&w);
    has_heard();
    assert_int_equal(full_slots(), 1);
}

static void so_has_one_that_waits_again(void **state)
{
    (void)state;
    a_call_comes_back();
    it_is_posted_too();
    is_there();
    assert_int_equal(full_slots(), 1);
}

/* It keeps that until it is stored. */
static void one_that_waits_has_the_slot_of_its_post(void **state)
{
    (void)state;
    make_store();
    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    it_is_posted_too();
    is_there();
    assert_int_equal(full_slots(), 1);
    assert_int_equal(mark(), 0);
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
    expect_call(&the_worker, &job);
    comes_to_rest();
    assert_int_equal(full_slots(), 1);
    assert_true(mark() != 0);
    returns_and_is_told();
    is_there();
    assert_int_equal(full_slots(), 1);
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
    the_store_has("1");
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(it_has_a_slot_until_its_end_is_told),
        LATER(one_that_waits_for_a_worker_has_none),
        LATER(nor_has_one_that_waits_again),
        LATER(it_has_another_one_then),
        LATER(one_that_is_stored_has_none),
        LATER(what_was_accepted_is_stored),
        LATER(so_is_one_that_waits),
        LATER(so_is_one_that_is_killed),
        LATER(or_else_nobody_is_told_that_it_is),
        LATER(it_stays_when_its_caller_has_left),
        LATER(without_a_slot_it_is_stored_before_it_is_sent),
        LATER(or_else_it_is_not_sent),
        LATER(a_post_of_it_does_not_run_it_again),
        LATER(nor_when_the_store_never_had_it),
        LATER(a_post_outlives_who_waits_for_the_same),
        LATER(so_has_one_that_waits_again),
        LATER(one_that_waits_has_the_slot_of_its_post)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("slots of calls", tests, NULL, NULL);
}
