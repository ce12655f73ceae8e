/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that was sent to a worker which leaves: the worker ends without having
 * read it, so it has not begun, and another worker gets it. It would have been
 * told as one that exited. Only a call that was sent once is known not to have
 * begun. The protocol of broker_called.h.
 */
#include "t/unit/broker_called.h"

static worker next_one;

/* It lies in its worker's link. */
static void a_call_is_sent(void)
{
    struct pollfd p = {the_worker.link, POLLIN, 0};

    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
}

static void is_sent_a_call(void)
{
    worker_is_ready();
    a_call_is_sent();
}

static void ends(int status)
{
    (void)close(the_worker.link);
    say_exited(&the_worker.id, 0, status);
    time_goes_on();
}

static void another_comes(void)
{
    worker_starts(&next_one);
    expect_id(SPAWN_M_FORGET, &the_worker.id);
    worker_says(&next_one, NULL);
}

static void expect_end(spawn_outcome outcome)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]), outcome);
}

static void another_worker_gets_it(void **state)
{
    (void)state;
    is_sent_a_call();
    ends(0);
    another_comes();
    expect_call(&next_one, &job);
    worker_returns(&next_one, &job);
    expect_end(SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_RESULT_KIND]),
                     SPAWN_RESULT_RETURNED);
}

static void so_it_is_when_the_worker_is_killed(void **state)
{
    (void)state;
    is_sent_a_call();
    ends(9);
    another_comes();
    expect_call(&next_one, &job);
}

static void what_it_said_before_counts(void **state)
{
    spawn_id first;

    (void)state;
    worker_is_ready();
    a_call_runs();
    first = job;
    returns_and_is_told();
    a_call_is_sent();
    /* read or not, this is told of the other one */
    worker_says(&the_worker, &first);
    ends(0);
    another_comes();
    expect_call(&next_one, &job);
}

static void one_that_was_read_is_not_called_again(void **state)
{
    (void)state;
    is_sent_a_call();
    expect_call(&the_worker, &job);
    ends(3);
    expect_end(SPAWN_OUTCOME_SIGNALLED);
    another_comes();
    expect_no_call(&next_one);
}

/* The message that was not read may be the repetition. */
static void nor_is_one_that_was_sent_twice(void **state)
{
    (void)state;
    is_sent_a_call();
    expect_call(&the_worker, &job);
    kill_broker();
    start_another(&the_worker, &template);
    call_for(SPAWN_REPLY_FINISHED);
    is_there();
    ends(3);
    expect_end(SPAWN_OUTCOME_SIGNALLED);
    another_comes();
    expect_no_call(&next_one);
}

/* Workers that are ready, and then read nothing, are not forked for ever. */
static void time_and_again_it_fails(void **state)
{
    struct pollfd p = {.events = POLLIN};
    int i;

    (void)state;
    is_sent_a_call();
    for (i = 1; i < 10; i++) {
        ends(0);
        another_comes();
        the_worker = next_one;
        p.fd = the_worker.link;
        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    }
    ends(0);
    expect_end(SPAWN_OUTCOME_START_FAILED);
}

/* How its worker ended says nothing of it. */
static void one_that_is_killed_is_cancelled(void **state)
{
    spawn_writer w;
    int waits;

    (void)state;
    is_sent_a_call();
    waits = caller;
    call_in();
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    (void)close(caller);
    caller = waits;
    ends(0);
    expect_end(SPAWN_OUTCOME_CANCELLED);
}

static void get(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
}

/* Its worker is gone, and the store says that it runs there. */
static void what_waits_again_and_is_not_stored_is_told(void **state)
{
    (void)state;
    make_store_that_fails(NO_UPDATE);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_is_sent();
    time_moves(25);
    get();
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    assert_true(spawn_has(&message, SPAWN_A_PID));
    assert_true(spawn_has(&message, SPAWN_A_SEQ)); /* of the store */
    ends(0);
    worker_starts(&next_one);
    get();
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
    assert_false(spawn_has(&message, SPAWN_A_PID));
    assert_string_equal(spawn_str_or(&message, SPAWN_A_LABEL, ""), "a call");
}

#define CASE(f)                                                                \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(another_worker_gets_it),
        CASE(so_it_is_when_the_worker_is_killed),
        CASE(what_it_said_before_counts),
        CASE(one_that_was_read_is_not_called_again),
        CASE(nor_is_one_that_was_sent_twice),
        CASE(time_and_again_it_fails),
        CASE(one_that_is_killed_is_cancelled),
        CASE(what_waits_again_and_is_not_stored_is_told),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
