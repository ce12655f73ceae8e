/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of workers, and functions with processes of their own, that are tried
 * again. This program plays spawner, template, workers and caller. The protocol
 * of broker_found.h.
 */
#include "t/unit/broker_called.h"

#include "common/spawn_rule.h"

static const uint64_t no_pause[] = {SPAWN_BACKOFF_FIXED, 0};

/* reply is FINISHED, or it is accepted. */
static void call_with(int64_t most, bool paused, spawn_reply reply)
{
    spawn_writer w;

    (void)spawn_id_make(&job);
    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_i64(&w, SPAWN_A_RETRY, most);
    if (!paused)
        spawn_put_u64v(&w, SPAWN_A_BACKOFF, no_pause, 2);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
    if (reply == SPAWN_REPLY_ACCEPTED)
        expect_answer(SPAWN_M_ACCEPTED);
}

static void expect_attempt(unsigned attempt)
{
    expect_call(&the_worker, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), attempt);
}

static void it_throws(void)
{
    spawn_board *board = spawn_board_map(the_worker.kept[0]);

    assert_non_null(board);
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_DIED, "x", 1),
                     0);
    worker_says(&the_worker, &job);
}

static void the_worker_dies(void)
{
    (void)close(the_worker.link);
    say_exited(&the_worker.id, 0, SIGKILL);
}

static void another_comes(void)
{
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
}

static void expect_end(unsigned attempt, unsigned kind)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 99), kind);
}

static void one_that_throws_is_tried_again(void **state)
{
    (void)state;
    worker_is_ready();
    call_with(2, false, SPAWN_REPLY_FINISHED);
    expect_attempt(1);
    it_throws();
    expect_attempt(2);
    it_throws();
    expect_attempt(3);
    it_throws();
    expect_end(3, SPAWN_RESULT_DIED);
    has_heard();
    expect_no_call(&the_worker);
}

static void not_after_it_has_returned(void **state)
{
    (void)state;
    worker_is_ready();
    call_with(2, false, SPAWN_REPLY_FINISHED);
    expect_attempt(1);
    it_throws();
    expect_attempt(2);
    worker_returns(&the_worker, &job);
    expect_end(2, SPAWN_RESULT_RETURNED);
    has_heard();
    expect_no_call(&the_worker);
}

/* Its worker's death is no fault of its own: it need not wait. Its own error
 * is. */
static void it_waits_when_it_threw_and_not_when_its_worker_died(void **state)
{
    (void)state;
    worker_is_ready();
    call_with(2, true, SPAWN_REPLY_FINISHED);
    expect_attempt(1);
    the_worker_dies();
    another_comes();
    expect_attempt(2);
    it_throws();
    has_heard();
    expect_no_call(&the_worker);
    time_moves(2000);
    has_heard();
    expect_attempt(3);
}

/* While it waits for another worker, in the store. */
static void its_count_outlives_brokers(void **state)
{
    int i;

    (void)state;
    worker_is_ready();
    call_with(2, false, SPAWN_REPLY_ACCEPTED);
    for (i = 1; i <= 3; i++) {
        expect_attempt((unsigned)i);
        the_worker_dies();
        if (i == 3)
            break;
        expect(SPAWN_M_LAUNCH); /* of another worker, which never comes */
        has_heard();
        kill_broker();
        time_goes_on();
        start_broker();
        say_running_app(&template);
        expect_ready();
        call_in();
        time_stands();
        say(SPAWN_M_GO);
        another_comes();
    }
    has_heard();
    time_moves(100);
    has_heard();
    kill_broker();
    expect_sql("SELECT state || ' ' || attempt || ' ' || retries || ' ' || dead"
               " FROM job",
               "4 3 0 1");
    expect_sql("SELECT group_concat(number || ':' || outcome || ':' || signal)"
               " FROM attempt",
               "1:2:9,2:2:9");
}

/* The end was recorded, and its worker has the ticket still. */
static void a_ticket_of_an_attempt_before_is_none_of_this_one(void **state)
{
    (void)state;
    worker_is_ready();
    call_with(1, false, SPAWN_REPLY_ACCEPTED);
    expect_attempt(1);
    has_heard();
    kill_broker();
    /* so a broker leaves it that is killed right after its commit */
    run_sql("UPDATE job SET state = 1, attempt = 2, retries = 0");
    time_goes_on();
    start_another(&the_worker, &template);
    expect_attempt(2);
    it_throws();
    has_heard();
    kill_broker();
    expect_sql("SELECT state || ' ' || attempt || ' ' || dead FROM job",
               "4 2 1");
}

/* ---- processes of their own ---- */

static void a_function_runs(spawn_id *ret, int64_t most)
{
    spawn_writer w;

    make_store();
    reach_a_template(&template);
    time_stands();
    begin_function(&w, ret);
    spawn_put_i64(&w, SPAWN_A_RETRY, most);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, no_pause, 2);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(ret, &template);
    assert_false(spawn_has(&message, SPAWN_A_ATTEMPT));
}

static void a_function_is_told_its_attempt(void **state)
{
    spawn_writer w;

    (void)state;
    a_function_runs(&job, 1);
    say_started(&job);
    say_exited(&job, 0, 255 << 8);
    has_heard();
    time_moves(20);
    has_heard();
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &template);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
}

/* Its result is there, however its process ended. */
static void one_that_returned_and_crashed_is_not_tried_again(void **state)
{
    spawn_board *board;

    (void)state;
    a_function_runs(&job, 1);
    board = spawn_board_map(packet.fds[place_of(SPAWN_KEEP_BOARD)]);
    packet.fds[place_of(SPAWN_KEEP_BOARD)] = -1;
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    say_started(&job);
    say_exited(&job, 0, SIGSEGV);
    has_heard();
    time_moves(20);
    has_heard();
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    quiet_for(1);
    kill_broker();
    expect_sql("SELECT state || ' ' || outcome || ' ' || result_kind || ' ' ||"
               " attempt || ' ' || dead FROM job",
               "4 2 1 1 0");
}

/* ---- */

#define CALLED(test)                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLED(one_that_throws_is_tried_again),
        CALLED(not_after_it_has_returned),
        CALLED(it_waits_when_it_threw_and_not_when_its_worker_died),
        CALLED(its_count_outlives_brokers),
        CALLED(a_ticket_of_an_attempt_before_is_none_of_this_one),
        CALLED(a_function_is_told_its_attempt),
        CALLED(one_that_returned_and_crashed_is_not_tried_again),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry calls", tests, NULL, NULL);
}
